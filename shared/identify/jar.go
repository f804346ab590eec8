package identify

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxPoms bounds the Maven descriptions kept of one jar; an "uber" jar of a
// large application has several hundred.
const maxPoms = 5000

// Jar gathers what the entries of one jar, war or ear say about it. The zero
// value is ready for use.
type Jar struct {
	poms     []Package // from pom.properties, in order of their paths
	xmlPoms  []Package // from pom.xml
	manifest manifest
	isJar    bool
	web, app bool
	root     []string // directories all classes have in common; nil before the first class
	classes  int
}

// WantsContent reports whether Add needs the content of an entry, given its
// path inside the jar.
func (j *Jar) WantsContent(entry string) bool {
	if entry == "META-INF/MANIFEST.MF" {
		return true
	}
	rest, ok := strings.CutPrefix(entry, "META-INF/maven/")
	base := path.Base(entry)
	return ok && strings.Count(rest, "/") == 2 && (base == "pom.properties" || base == "pom.xml")
}

// Note takes account of an entry's path.
func (j *Jar) Note(entry string) {
	switch {
	case entry == "META-INF/MANIFEST.MF", strings.HasPrefix(entry, "META-INF/maven/"):
		j.isJar = true
	case strings.HasPrefix(entry, "WEB-INF/"):
		j.web = true
	case entry == "META-INF/application.xml":
		j.app = true
	case strings.HasSuffix(entry, ".class"):
		j.isJar = true
		dir := path.Dir(entry)
		if dir == "." || strings.HasPrefix(entry, "META-INF/") {
			return // module-info and other versions of classes met elsewhere
		}
		segments := strings.SplitN(dir, "/", 9)
		segments = segments[:min(len(segments), 8)]
		if j.classes++; j.classes == 1 {
			j.root = segments
			return
		}
		same := 0
		for same < len(segments) && same < len(j.root) && segments[same] == j.root[same] {
			same++
		}
		j.root = j.root[:same]
	}
}

// Add reads the content of an entry for which WantsContent is true.
func (j *Jar) Add(entry string, data []byte) error {
	switch path.Base(entry) {
	case "MANIFEST.MF":
		j.manifest = parseManifest(data)
	case "pom.properties":
		p, err := ParsePomProperties(data)
		if err != nil {
			return err
		}
		if len(j.poms) < maxPoms {
			j.poms = append(j.poms, p)
		}
	case "pom.xml":
		p, err := ParsePomXML(data)
		if err != nil {
			return err
		}
		if len(j.xmlPoms) < maxPoms {
			j.xmlPoms = append(j.xmlPoms, p)
		}
	}
	return nil
}

// Format is JAR, WAR or EAR, or "" if nothing marks a jar.
func (j *Jar) Format() string {
	switch {
	case j.app && !j.web:
		return EAR
	case j.web:
		return WAR
	case j.isJar:
		return JAR
	}
	return ""
}

// Packages tells which package the jar is and which others were merged into
// it. A Maven description that was packed in is believed first; failing that
// the name is put together from the manifest and the file name, and the
// groupId recovered from the bundle name, the vendor or the directories of
// the classes, in that order.
func (j *Jar) Packages(filename string) (self Package, merged []Package) {
	poms := j.described()
	name, version := splitJarName(filename)
	own := -1
	for i, p := range poms {
		if p.Name == name && (version == "" || p.Version == version) {
			own = i
			break
		}
		if p.Name == name && own < 0 {
			own = i
		}
	}
	derived := j.derive(name, version)
	if own < 0 {
		own = slices.IndexFunc(poms, func(p Package) bool { return derived.Name != "" && p.Name == derived.Name })
	}
	if own < 0 && len(poms) == 1 && j.manifest.artifact() == "" {
		own = 0
	}
	if own >= 0 {
		self = poms[own]
		merged = append(merged, poms[:own]...)
		merged = append(merged, poms[own+1:]...)
	} else {
		self, merged = derived, poms
	}
	if len(self.Licenses) == 0 {
		self.Licenses = bundleLicenses(j.manifest.license)
	}
	if self.Supplier == "" {
		self.Supplier = j.manifest.vendor
	}
	if self.Description == "" {
		self.Description = j.manifest.description
	}
	return self, merged
}

// bundleLicenses reads Bundle-License (OSGi Core 8, 3.2.1.10): a list of
// identifiers or addresses, each with attributes behind semicolons.
func bundleLicenses(header string) (all []string) {
	quoted := false
	for item := range strings.FieldsFuncSeq(header, func(r rune) bool {
		quoted = quoted != (r == '"')
		return r == ',' && !quoted
	}) {
		name, _, _ := strings.Cut(item, ";")
		if name = strings.Trim(strings.TrimSpace(name), `"`); name != "" && len(all) < maxLicenses {
			all = append(all, name)
		}
	}
	return all
}

// described joins pom.properties with what pom.xml adds: licences, and the
// identity where the other file is missing.
func (j *Jar) described() []Package {
	poms := slices.Clone(j.poms)
	for _, x := range j.xmlPoms {
		i := slices.IndexFunc(poms, func(p Package) bool { return p.Namespace == x.Namespace && p.Name == x.Name })
		if i < 0 {
			if x.Namespace != "" && usable(x.Version) {
				poms = append(poms, x)
			}
			continue
		}
		poms[i].Licenses, poms[i].Description, poms[i].Supplier = x.Licenses, x.Description, x.Supplier
	}
	return poms
}

// jarName splits "spring-core-4.3.30.RELEASE" at the first hyphen that a digit
// follows.
var jarName = regexp.MustCompile(`^(.+?)-(\d[\w.+\-]*)$`)

func splitJarName(filename string) (name, version string) {
	stem := path.Base(filename)
	switch ext := path.Ext(stem); strings.ToLower(ext) {
	case ".jar", ".war", ".ear", ".rar", ".hpi", ".jpi", ".par", ".sar", ".kar":
		stem = strings.TrimSuffix(stem, ext)
	}
	if m := jarName.FindStringSubmatch(stem); m != nil {
		return m[1], m[2]
	}
	return stem, ""
}

// derive names a jar that carries no Maven description.
func (j *Jar) derive(fileName, fileVersion string) Package {
	m := j.manifest
	p := Package{Type: "maven", Name: m.artifact(), Version: m.version, Inferred: "manifest"}
	if p.Name == "" && fileVersion != "" {
		p.Name, p.Inferred = fileName, "file name"
	}
	if p.Name == "" {
		return Package{Type: "maven"}
	}
	// Manifests write more than the version that Maven knows: a build number,
	// or the zeros that OSGi asks for.
	if p.Name == fileName && fileVersion != "" && strings.HasPrefix(p.Version, fileVersion) {
		p.Version = fileVersion
	}
	if p.Version == "" && p.Name == fileName {
		p.Version = fileVersion
	}
	if p.Version == "" {
		p.Version = m.looseVersion
	}
	p.Namespace = j.group(p.Name)
	return p
}

// oldGroups are the artifacts whose groupId is their own name, though their
// classes and bundle names sit below org.apache.commons and the like.
var oldGroups = map[string]bool{
	"commons-beanutils": true, "commons-cli": true, "commons-codec": true, "commons-collections": true,
	"commons-configuration": true, "commons-dbcp": true, "commons-digester": true, "commons-discovery": true,
	"commons-el": true, "commons-fileupload": true, "commons-httpclient": true, "commons-io": true, "commons-jxpath": true,
	"commons-lang": true, "commons-logging": true, "commons-net": true, "commons-pool": true, "commons-validator": true,
	"dom4j": true, "jdom": true, "joda-time": true, "junit": true, "log4j": true, "mysql": true, "xalan": true, "xerces": true,
}

// groups are those of artifacts that many programs have and whose manifests
// suggest another: by name, or by how the name begins.
var groups = map[string]string{
	"aopalliance": "aopalliance", "antlr": "antlr", "javax.inject": "javax.inject", "servlet-api": "javax.servlet", "jsp-api": "javax.servlet.jsp",
	"asm": "org.ow2.asm", "asm-analysis": "org.ow2.asm", "asm-commons": "org.ow2.asm", "asm-tree": "org.ow2.asm", "asm-util": "org.ow2.asm", "asm-all": "org.ow2.asm",
	"jna": "net.java.dev.jna", "jna-platform": "net.java.dev.jna", "jsr305": "com.google.code.findbugs", "lombok": "org.projectlombok",
	"hamcrest": "org.hamcrest", "hamcrest-core": "org.hamcrest", "hamcrest-library": "org.hamcrest", "mysql-connector-java": "mysql", "mysql-connector-j": "com.mysql",
	"okhttp": "com.squareup.okhttp3", "okio": "com.squareup.okio", "okio-jvm": "com.squareup.okio", "retrofit": "com.squareup.retrofit2",
	"caffeine": "com.github.ben-manes.caffeine", "hsqldb": "org.hsqldb", "h2": "com.h2database", "ecj": "org.eclipse.jdt", "jedis": "redis.clients",
	"reactor-core": "io.projectreactor", "reactive-streams": "org.reactivestreams",
}

var groupsByPrefix = []struct{ prefix, group string }{
	{"tomcat-embed-", "org.apache.tomcat.embed"}, {"tomcat-", "org.apache.tomcat"}, {"spring-boot", "org.springframework.boot"},
	{"spring-security-", "org.springframework.security"}, {"junit-jupiter", "org.junit.jupiter"}, {"junit-platform-", "org.junit.platform"},
	{"junit-vintage-", "org.junit.vintage"}, {"kotlin-", "org.jetbrains.kotlin"}, {"kotlinx-", "org.jetbrains.kotlinx"}, {"bcprov-", "org.bouncycastle"},
	{"bcpkix-", "org.bouncycastle"}, {"bcutil-", "org.bouncycastle"}, {"bcpg-", "org.bouncycastle"}, {"bctls-", "org.bouncycastle"}, {"bcmail-", "org.bouncycastle"},
}

func (j *Jar) group(artifact string) string {
	if oldGroups[artifact] {
		return artifact
	}
	if known := groups[artifact]; known != "" {
		return known
	}
	for _, g := range groupsByPrefix {
		if strings.HasPrefix(artifact, g.prefix) {
			return g.group
		}
	}
	for _, bundle := range []string{j.manifest.bundle, j.manifest.module} {
		if g := groupOf(bundle, artifact); g != "" {
			return g
		}
	}
	if g := j.manifest.vendorID; groupID.MatchString(g) {
		return g
	}
	return groupOf(strings.Join(j.root, "."), artifact)
}

// groupID is a reversed domain name of at least two labels.
var groupID = regexp.MustCompile(`^[a-zA-Z][\w\-]*(\.[a-zA-Z_][\w\-]*)+$`)

// groupOf takes the artifact's part off a dotted bundle, module or package
// name. The Maven bundle plugin joins groupId and artifactId, writing a part
// they share once: org.apache.logging.log4j and log4j-core give
// org.apache.logging.log4j.core.
func groupOf(dotted, artifact string) string {
	if !groupID.MatchString(dotted) {
		return ""
	}
	parts := strings.FieldsFunc(artifact, func(r rune) bool { return r == '-' || r == '.' || r == '_' })
	for i := range parts {
		tail := "." + strings.Join(parts[i:], ".")
		if !strings.HasSuffix(dotted, tail) {
			continue
		}
		group := strings.TrimSuffix(dotted, tail)
		if i == 0 && len(parts) > 1 { // the shared part belongs to the group
			group += "." + parts[0]
		}
		if groupID.MatchString(group) {
			return group
		}
		return dotted
	}
	return dotted
}
