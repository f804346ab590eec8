package license

import (
	"strings"
	"testing"
)

func TestValid(t *testing.T) {
	for expression, ok := range map[string]bool{
		"MIT": true, "MIT OR Apache-2.0": true, "(MIT OR Apache-2.0) AND BSD-3-Clause": true, "GPL-2.0+": true,
		"GPL-2.0-or-later WITH Classpath-exception-2.0": true, "GPL-2.0-only WITH Linux-syscall-note OR MIT": true,
		"LicenseRef-Mine": true, "DocumentRef-a:LicenseRef-b": true, "GPL-2.0-with-classpath-exception": true,
		"": false, "mit": false, "MIT OR": false, "OR MIT": false, "MIT Apache-2.0": false, "(MIT": false, "MIT)": false, "()": false,
		"MIT WITH MIT": false, "Classpath-exception-2.0": false, "(MIT) WITH Classpath-exception-2.0": false, "MIT and BSD-3-Clause": false,
		"GPL-2.0-only WITH Classpath-exception-2.0 WITH Linux-syscall-note": false, "LicenseRef-": false,
		strings.Repeat("(", 300) + "MIT" + strings.Repeat(")", 300): false, strings.Repeat("MIT OR ", 500) + "MIT": false,
	} {
		if err := Valid(expression); (err == nil) != ok {
			t.Errorf("%.100q: %v", expression, err)
		}
	}
}

func TestFromDeclared(t *testing.T) {
	for declared, want := range map[string]string{
		"MIT": "MIT", " MIT  OR Apache-2.0 ": "MIT OR Apache-2.0", "MIT/Apache-2.0": "MIT OR Apache-2.0", "MIT or GPL-3": "MIT OR GPL-3.0-only",
		"(MIT and BSD-3-Clause)": "MIT AND BSD-3-Clause", "The MIT License": "MIT", "Apache License, Version 2.0": "Apache-2.0", "Apache 2": "Apache-2.0",
		"License :: OSI Approved :: MIT License": "MIT", "License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
		"http://www.apache.org/licenses/LICENSE-2.0.txt": "Apache-2.0", "https://opensource.org/licenses/MIT": "MIT", "https://a.example/LICENSE": "",
		"GPL2 w/ CPE": "GPL-2.0-only WITH Classpath-exception-2.0", "https://www.eclipse.org/legal/epl-2.0/": "EPL-2.0",
		"GPLv2+": "GPL-2.0-or-later", "custom:Unlicense": "Unlicense", "New BSD License": "BSD-3-Clause", "Eclipse Public License v. 2.0": "EPL-2.0",
		// Words with several meanings, or none.
		"BSD": "", "GPL": "", "see LICENSE": "", "": "", "MIT/secret": "", "UNLICENSED": "", "Apache": "", "custom": "", "MIT OR BSD": "",
		strings.Repeat("MIT/", 300): "",
	} {
		if got := FromDeclared(declared); got != want {
			t.Errorf("%.80q: %q, want %q", declared, got, want)
		}
	}
	if e, rest := Any([]string{"MIT OR ISC", "MIT", "BSD", "MIT"}); e != "(MIT OR ISC) AND MIT" || len(rest) != 1 || rest[0] != "BSD" {
		t.Errorf("%q, %q", e, rest)
	}
	for where, id := range addresses {
		if address("https://"+where) != where || !ID(id) {
			t.Errorf("address %q of %q can never be found or is no identifier", where, id)
		}
	}
	for spelling, id := range aliases {
		if plain(spelling) != spelling || Valid(id) != nil {
			t.Errorf("alias %q of %q can never be found or is no expression", spelling, id)
		}
	}
}

func TestConclude(t *testing.T) {
	for _, test := range []struct{ declared, observed, want string }{
		{"MIT OR Apache-2.0", "Apache-2.0 AND MIT", "MIT OR Apache-2.0"},
		{"GPL-2.0-or-later", "GPL-2.0-only", "GPL-2.0-or-later"},
		{"MIT", "Apache-2.0", "Apache-2.0"},
		{"MIT OR ISC", "ISC AND Zlib", "ISC AND Zlib"},
		{"custom", "MIT", "MIT"},
		{"MIT", "", ""},
	} {
		if got := Conclude([]string{test.declared}, test.observed); got != test.want {
			t.Errorf("%s declared, %s observed: %q, want %q", test.declared, test.observed, got, test.want)
		}
	}
}

const debian = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: x

Files: debian/*
Copyright: 2020 A
License: Expat

Files: *
Copyright: 2020 B
License: GPL-2+ or Expat
 more words

License: GPL-2+
 text
`

func TestFromDebian(t *testing.T) {
	for text, want := range map[string]string{
		debian: "GPL-2.0-or-later OR MIT",
		strings.Replace(debian, "Files: *", "Files: src/*", 1): "MIT AND (GPL-2.0-or-later OR MIT)",
		strings.ReplaceAll(debian, "Expat", "Homemade"):        "",
		"It was packaged by A.\n\nLicense: MIT\n":              "",
		"": "",
	} {
		if got := FromDebian([]byte(text)); got != want {
			t.Errorf("%.60q: %q, want %q", text, got, want)
		}
	}
}

func TestFromText(t *testing.T) {
	mit := "MIT License\n\nCopyright (c) 2026 A. Person\n\n" + mitText
	for text, want := range map[string]string{
		mit: "MIT", mitText: "MIT", mit + "\n\n" + iscText: "ISC AND MIT", "All rights reserved.": "", "": "",
		mit + strings.Repeat(" and whoever uses it owes me a drink of my choice on every day of the week", 40): "",
		strings.Repeat(mitText, 1000): "",
	} {
		if got := FromText([]byte(text)); got != want {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
	for name, is := range map[string]bool{
		"LICENSE": true, "package/LICENSE.md": true, "COPYING.LESSER": true, "COPYING": true, "LICENCE.txt": true, "LICENSE-MIT": true, "LICENSE.Apache-2.0": true,
		"license.go": false, "LICENSE.json": false, "src/licenses.js": false, "README": false, "copyright": true,
	} {
		if IsText(name) != is {
			t.Errorf("%s: %v", name, !is)
		}
	}
}

const mitText = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

const iscText = `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
`

func FuzzDeclared(f *testing.F) {
	f.Add("MIT/Apache-2.0")
	f.Add(debian)
	f.Add("(MIT OR ISC) AND GPL-2.0-only WITH Classpath-exception-2.0")
	f.Fuzz(func(t *testing.T, s string) {
		if e := FromDebian([]byte(s)); e != "" && Valid(e) != nil {
			t.Errorf("%q became %q, which is no expression", s, e)
		}
		if e := FromDeclared(s); e != "" && Valid(e) != nil {
			t.Errorf("%q became %q, which is no expression", s, e)
		}
	})
}
