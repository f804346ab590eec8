package secrets

import (
	"path/filepath"
	"strings"
)

// inTests tells paths where made-up credentials are at home: among tests,
// examples and documentation. They are looked at like any other, and are less
// sure to be of use to anyone. What a container is called does not count.
func inTests(path string) bool {
	name := ""
	for part := range strings.SplitSeq(path, "!") {
		dirs := strings.Split(part, "/")
		name = dirs[len(dirs)-1]
		for _, dir := range dirs[:len(dirs)-1] {
			if hasWord(dir, testWords) || hasWord(dir, testDirs) {
				return true
			}
		}
	}
	return hasWord(name, testWords) || documents[strings.ToLower(filepath.Ext(name))]
}

var (
	testWords = set(`test tests testing tester fixture fixtures mock mocks example examples sample samples
		testapp testcase testcases testcerts testdata testenv testfiles testhelper testhelpers testkeys testkit testlib testonly
		testserver testsuite testutil testutils functest e2etest`)
	testDirs  = set("spec specs e2e doc docs documentation")
	documents = set(".md .mdx .rst .adoc")
)

// hasWord reports whether a name has one of the words: names are made of
// words by case, and by what is neither letter nor digit.
func hasWord(name string, words map[string]bool) bool {
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && (isLetter(name[i]) || isDigit(name[i])) && !(i > start && isUpper(name[i]) && !isUpper(name[i-1])) {
			continue
		}
		if words[strings.ToLower(name[start:i])] {
			return true
		}
		start = i
		if i < len(name) && !isLetter(name[i]) && !isDigit(name[i]) {
			start++
		}
	}
	return false
}
