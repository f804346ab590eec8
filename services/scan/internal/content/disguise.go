package content

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"assize.dev/shared/archive"
)

// harmless are extensions of files that nobody expects to run.
var harmless = setOf(".png .jpg .jpeg .gif .bmp .ico .icns .svg .webp .tif .tiff .psd .avif .mp3 .mp4 .wav .ogg .webm .avi .mov .flac " +
	".ttf .otf .woff .woff2 .eot .txt .text .md .markdown .rst .adoc .log .json .json5 .xml .yml .yaml .toml .ini .cfg .conf .csv .tsv .html .htm .css .scss .less " +
	".pdf .doc .docx .xls .xlsx .rtf .map .lock .po .mo .pem .crt .license")

// runnable notes a file that begins as a machine program or a script and is
// called something else, or does not belong in this kind of package.
func (f *findings) runnable(location, entry string, format archive.Format, head []byte, unpacked bool) {
	ext := strings.ToLower(path.Ext(entry))
	if !isProgram(format) {
		if harmless[ext] && isScript(head) && !forPrograms(entry) {
			f.addAs(&hiddenScript, f.atPlace(&hiddenScript, location, unpacked && !amongTests(location)), location, 1,
				fmt.Sprintf("file %.200q %s: %s", entry, hiddenScript.means, quoted(string(firstLine(head)))))
		}
		return
	}
	if harmless[ext] {
		f.addAs(&hiddenProgram, f.atPlace(&hiddenProgram, location, unpacked && !amongTests(location)), location, 0,
			fmt.Sprintf("file %.200q (%s) %s", entry, format, hiddenProgram.means))
		return
	}
	switch f.format {
	case formatSdist, formatCrate:
		f.stray(location, entry, format)
	case formatWheel:
		// Only WHEEL, usually the last but one of its files, says whether
		// the wheel may have such files.
		f.programs = append(f.programs, program{location, entry, format})
	}
}

// program is a machine program whose place is not known to be wrong yet.
type program struct {
	location, entry string
	format          archive.Format
}

func (f *findings) stray(location, entry string, format archive.Format) {
	severity := f.severity(&strayProgram)
	if amongTests(location) || startsPython(entry) {
		severity = milder(severity)
	}
	f.addAs(&strayProgram, severity, location, 0, fmt.Sprintf("file %.200q (%s) %s", entry, format, strayProgram.means))
}

// startsPython tells the programs that setuptools and distlib put beside
// Python scripts on Windows, which are in many pure packages.
func startsPython(entry string) bool {
	dir, base := path.Split(strings.ToLower(entry))
	switch strings.TrimSuffix(base, ".exe") {
	case "cli", "gui", "cli-32", "cli-64", "gui-32", "gui-64", "cli-arm64", "gui-arm64":
		return strings.Contains(dir, "setuptools/")
	case "t32", "t64", "w32", "w64", "t64-arm", "w64-arm":
		return strings.Contains(dir, "distlib/")
	case "wininst-6.0", "wininst-7.1", "wininst-8.0", "wininst-9.0", "wininst-9.0-amd64", "wininst-10.0", "wininst-10.0-amd64", "wininst-14.0", "wininst-14.0-amd64":
		return strings.Contains(dir, "distutils/") || strings.Contains(dir, "setuptools/")
	}
	return false
}

func isProgram(f archive.Format) bool {
	return f == archive.ELF || f == archive.PE || f == archive.MachO
}

// forPrograms tells the directories whose files are commands, whatever they
// are called.
func forPrograms(entry string) bool {
	switch path.Base(path.Dir(entry)) {
	case "bin", "sbin", "libexec", "init.d":
		return true
	}
	return false
}

// isScript wants an absolute path behind the mark, which other text that
// begins with it does not have.
func isScript(head []byte) bool {
	rest, found := bytes.CutPrefix(head, []byte("#!"))
	return found && bytes.HasPrefix(bytes.TrimLeft(rest, " \t"), []byte("/"))
}

func firstLine(head []byte) []byte {
	first, _, _ := bytes.Cut(head, []byte("\n"))
	return first
}
