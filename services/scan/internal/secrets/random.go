package secrets

// bigrams is how often one letter follows another inside the distinct words
// of 60 MB of source code and documentation: 0 hardly ever, 3 as often as
// chance has it, each step twice as often as the one before. Rows are the
// first letter.
var bigrams = [26]string{
	"37873471714878272879644553",
	"62226232541733520441611040",
	"82638217507732940748611060",
	"73359331712542640553532141",
	"84885663423779476999367761",
	"62226511800511621534501130",
	"51318154601425531653501121",
	"72227101601241621434410031",
	"65877672112779961688261406",
	"21005001101100410030202000",
	"41127321500323211241411010",
	"73368231912722830357631050",
	"85228011602352671153501020",
	"72788782625446640389551031",
	"56672561545779670867866341",
	"82358234502723860857621030",
	"00010001000201100110700000",
	"83659461806465841677672060",
	"62629336815443772379723150",
	"82539327901433740876615271",
	"56557340501767370777100201",
	"71218111701122440011110110",
	"60115013601214510442001100",
	"21414201401110150016100120",
	"32213010200344270154102012",
	"40116000200110200010300022",
}

func bigram(a, b byte) int { return int(bigrams[a|0x20-'a'][b|0x20-'a'] - '0') }

// drawn reports whether the characters of v look drawn at random rather than
// chosen by somebody who writes words. It wants more of short values, which
// chance makes look like either.
func drawn(v string) bool {
	pairs, sum, breaks := 0, 0, 0
	for i := 1; i < len(v); i++ {
		a, b := v[i-1], v[i]
		switch {
		case isLetter(a) && isLetter(b):
			pairs++
			if isUpper(b) && !isUpper(a) {
				breaks++ // a hump of camelCase, or chance
				pairs--
				continue
			}
			sum += bigram(a, b)
		case isLetter(a) && isDigit(b), isDigit(a) && isLetter(b):
			breaks++
		}
	}
	// Words change their kind of character every few letters at most.
	if 3*breaks >= len(v) {
		return true
	}
	switch {
	case pairs < 4:
		return breaks >= 3
	case pairs < 10:
		return 10*sum < 40*pairs
	}
	return 10*sum < 50*pairs
}
