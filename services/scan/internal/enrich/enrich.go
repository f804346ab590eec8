// Package enrich knows what is told of vulnerabilities beyond their
// advisories: whether CISA lists them as exploited (KEV), and how likely
// they are to be (EPSS).
package enrich

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fact is what is known of one CVE.
type Fact struct {
	CVE        string  `json:"cve"`
	KEV        string  `json:"kev,omitempty"`        // day on which CISA listed it
	Ransomware bool    `json:"ransomware,omitempty"` // known to be used in ransomware campaigns
	EPSS       float64 `json:"epss,omitempty"`       // probability of exploitation in the next 30 days
	Percentile float64 `json:"percentile,omitempty"`
}

// Table is a set of facts. The zero Table has none; any number of goroutines
// may look things up.
type Table struct {
	facts  []Fact // by CVE
	digest string
}

// Bounds of the sources.
const (
	MaxSource = 256 << 20 // bytes, inflated
	maxFacts  = 2 << 20
	maxCVE    = 32
)

// Merge makes one table of what two sets say: of the first counts what it
// says of exploitation, of the second the scores. Either may be empty.
func Merge(kev, epss []Fact) *Table {
	byCVE := make(map[string]Fact, len(kev)+len(epss))
	for _, f := range epss {
		if f.EPSS > 0 || f.Percentile > 0 {
			byCVE[f.CVE] = Fact{CVE: f.CVE, EPSS: f.EPSS, Percentile: f.Percentile}
		}
	}
	for _, f := range kev {
		if f.KEV == "" {
			continue
		}
		one := byCVE[f.CVE]
		one.CVE, one.KEV, one.Ransomware = f.CVE, f.KEV, f.Ransomware
		byCVE[f.CVE] = one
	}
	t := &Table{facts: make([]Fact, 0, len(byCVE))}
	for _, f := range byCVE {
		t.facts = append(t.facts, f)
	}
	slices.SortFunc(t.facts, func(a, b Fact) int { return cmp.Compare(a.CVE, b.CVE) })
	h := sha256.New()
	for _, f := range t.facts {
		fmt.Fprintf(h, "%s %s %v %g %g\n", f.CVE, f.KEV, f.Ransomware, f.EPSS, f.Percentile)
	}
	t.digest = hex.EncodeToString(h.Sum(nil))
	return t
}

// Digest is the SHA-256 of the facts, "" for the zero Table.
func (t *Table) Digest() string { return t.digest }

// All gives every fact, by CVE.
func (t *Table) All() iter.Seq[Fact] { return slices.Values(t.facts) }

// Len is how many CVEs there is something to say of.
func (t *Table) Len() int { return len(t.facts) }

// Exploited is how many of them CISA lists.
func (t *Table) Exploited() (n int) {
	for _, f := range t.facts {
		if f.KEV != "" {
			n++
		}
	}
	return n
}

// Lookup is the gravest of what is known of the names of one flaw: listed
// since the earliest day, exploited with the highest probability.
func (t *Table) Lookup(ids ...string) (gravest Fact, ok bool) {
	for _, id := range ids {
		i, found := slices.BinarySearchFunc(t.facts, id, func(f Fact, id string) int { return cmp.Compare(f.CVE, id) })
		if !found {
			continue
		}
		f := t.facts[i]
		if !ok {
			gravest, ok = f, true
			continue
		}
		if f.KEV != "" && (gravest.KEV == "" || f.KEV < gravest.KEV) {
			gravest.KEV = f.KEV
		}
		gravest.Ransomware = gravest.Ransomware || f.Ransomware
		if f.EPSS > gravest.EPSS {
			gravest.EPSS, gravest.Percentile = f.EPSS, f.Percentile
		}
	}
	return gravest, ok
}

// ParseKEV reads CISA's catalogue of known exploited vulnerabilities, the
// JSON form.
func ParseKEV(r io.Reader) ([]Fact, error) {
	text, err := bounded(r)
	if err != nil {
		return nil, fmt.Errorf("KEV catalogue: %w", err)
	}
	var catalogue struct {
		Vulnerabilities []struct {
			CVE        string `json:"cveID"`
			Added      string `json:"dateAdded"`
			Ransomware string `json:"knownRansomwareCampaignUse"`
		} `json:"vulnerabilities"`
	}
	if err := json.Unmarshal(text, &catalogue); err != nil {
		return nil, fmt.Errorf("KEV catalogue: %w", err)
	}
	if len(catalogue.Vulnerabilities) == 0 {
		return nil, errors.New("KEV catalogue: it lists nothing, so it is not one")
	}
	var facts []Fact
	for i, v := range catalogue.Vulnerabilities {
		if !isCVE(v.CVE) {
			return nil, fmt.Errorf("KEV catalogue: entry %d: %.40q is no CVE id", i, v.CVE)
		}
		if _, err := time.Parse(time.DateOnly, v.Added); err != nil {
			return nil, fmt.Errorf("KEV catalogue: %s: dateAdded %.40q is no day", v.CVE, v.Added)
		}
		facts = append(facts, Fact{CVE: v.CVE, KEV: v.Added, Ransomware: v.Ransomware == "Known"})
	}
	return facts, nil
}

// ParseEPSS reads FIRST's daily scores: CSV, as it is or in gzip.
func ParseEPSS(r io.Reader) ([]Fact, error) {
	facts, err := parseEPSS(r)
	if err != nil {
		return nil, fmt.Errorf("EPSS scores: %w", err)
	}
	return facts, nil
}

func parseEPSS(r io.Reader) ([]Fact, error) {
	in := bufio.NewReader(r)
	if head, _ := in.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReader(z)
	}
	rows := csv.NewReader(io.LimitReader(in, MaxSource))
	rows.Comment, rows.ReuseRecord, rows.FieldsPerRecord = '#', true, 3
	header, err := rows.Read()
	if err != nil {
		return nil, err
	}
	if header[0] != "cve" || header[1] != "epss" || header[2] != "percentile" {
		return nil, fmt.Errorf("columns %.80q: want cve,epss,percentile", header)
	}
	var facts []Fact
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := rows.FieldPos(0)
		score, errScore := strconv.ParseFloat(row[1], 64)
		percentile, errPercentile := strconv.ParseFloat(row[2], 64)
		if !isCVE(row[0]) || errScore != nil || errPercentile != nil || !probability(score) || !probability(percentile) {
			return nil, fmt.Errorf("line %d: %.80q: want a CVE id and two numbers from 0 to 1", line, row)
		}
		if len(facts) >= maxFacts {
			return nil, fmt.Errorf("more than %d rows", maxFacts)
		}
		facts = append(facts, Fact{CVE: strings.Clone(row[0]), EPSS: score, Percentile: percentile})
	}
	if len(facts) == 0 {
		return nil, errors.New("no scores, so it is no list of them")
	}
	return facts, nil
}

func probability(f float64) bool { return f >= 0 && f <= 1 }

func isCVE(s string) bool {
	year, number, ok := strings.Cut(strings.TrimPrefix(s, "CVE-"), "-")
	return ok && strings.HasPrefix(s, "CVE-") && len(s) <= maxCVE && len(year) == 4 && len(number) >= 4 && strings.Trim(year+number, "0123456789") == ""
}

func bounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSource+1))
	if err == nil && len(text) > MaxSource {
		err = fmt.Errorf("more than %d bytes", MaxSource)
	}
	return text, err
}
