package organization

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// measures are the texts of Exchange's own types: how a text is read, and how Get prints it.
var measures = map[string]func(s string) (string, error){
	"ByteQuantifiedSize": size,
	"Unlimited":          unlimited(size),
	"UnlimitedNumber":    unlimited(number),
	"EnhancedTimeSpan":   span,
	"IPRange":            ipRange,
	"IPBinding":          ipBinding,
	"SmartHost":          smartHost,
}

func unlimited(read func(string) (string, error)) func(string) (string, error) {
	return func(s string) (string, error) {
		if strings.EqualFold(s, "unlimited") {
			return "Unlimited", nil
		}
		return read(s)
	}
}

var sizeForm = regexp.MustCompile(`(?i)^\s*(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)?\s*(?:\(([\d,.]+) bytes\))?\s*$`)

// size reads 35MB, 36700160 and 35 MB (36,700,160 bytes), and prints the last.
func size(s string) (string, error) {
	m := sizeForm.FindStringSubmatch(s)
	if m == nil {
		return "", fmt.Errorf("\"%s\" isn't a valid size. The correct format is a number with B, KB, MB, GB or TB", s)
	}
	units := []string{"B", "KB", "MB", "GB", "TB"}
	n, err := strconv.ParseFloat(m[1], 64)
	for _, u := range units[1:] {
		if strings.EqualFold(m[2], u) {
			n *= 1024
			break
		}
		if m[2] != "" && !strings.EqualFold(m[2], "B") {
			n *= 1024
		}
	}
	if m[3] != "" {
		n, err = strconv.ParseFloat(strings.NewReplacer(",", "", ".", "").Replace(m[3]), 64)
	}
	if err != nil || n > math.MaxInt64/2 {
		return "", fmt.Errorf("\"%s\" is too large for a size", s)
	}
	bytes, unit, shown := int64(n), 0, n
	for shown >= 1024 && unit < len(units)-1 {
		shown /= 1024
		unit++
	}
	text := strconv.FormatFloat(shown, 'f', -1, 64)
	if whole, fraction, ok := strings.Cut(text, "."); ok && len(fraction) > 3 {
		text = whole + "." + fraction[:3]
	}
	return fmt.Sprintf("%s %s (%s bytes)", text, units[unit], grouped(bytes)), nil
}

// grouped writes 36700160 as 36,700,160.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func number(s string) (string, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
	if err != nil || n < 0 {
		return "", fmt.Errorf("\"%s\" isn't a number between 0 and %d, or Unlimited", s, math.MaxInt32)
	}
	return strconv.FormatInt(n, 10), nil
}

var spanForm = regexp.MustCompile(`^(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(\.\d+)?)?$`)

// span reads 1.02:03:04, and prints hours, minutes and seconds with two digits.
func span(s string) (string, error) {
	m := spanForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return "", fmt.Errorf("\"%s\" isn't a time span in the format dd.hh:mm:ss", s)
	}
	at := func(i int) int { n, _ := strconv.Atoi(m[i]); return n }
	if at(2) > 23 || at(3) > 59 || at(4) > 59 {
		return "", fmt.Errorf("\"%s\" has a part that is out of range", s)
	}
	text := fmt.Sprintf("%02d:%02d:%02d", at(2), at(3), at(4))
	if at(1) > 0 {
		text = fmt.Sprintf("%d.%s", at(1), text)
	}
	return text, nil
}

// ipRange takes an address, a network, or two addresses with a dash.
func ipRange(s string) (string, error) {
	low, high, isRange := strings.Cut(s, "-")
	if isRange {
		a, err := netip.ParseAddr(low)
		b, other := netip.ParseAddr(high)
		if err == nil && other == nil && a.Is4() == b.Is4() && a.Compare(b) <= 0 {
			return s, nil
		}
	} else if _, err := netip.ParseAddr(s); err == nil {
		return s, nil
	} else if _, err := netip.ParsePrefix(s); err == nil {
		return s, nil
	}
	return "", fmt.Errorf("\"%s\" isn't an IP address, an IP range or a network", s)
}

// ipBinding takes ADDRESS:PORT; an IPv6 address may come without brackets, as in Microsoft's
// documentation.
func ipBinding(s string) (string, error) {
	address, port, _ := cutLast(s, ":")
	a, err := netip.ParseAddr(strings.Trim(address, "[]"))
	n, other := strconv.ParseUint(port, 10, 16)
	if err != nil || other != nil {
		return "", fmt.Errorf("\"%s\" isn't an IP address with a port", s)
	}
	return netip.AddrPortFrom(a, uint16(n)).String(), nil
}

// smartHost takes a host name, or an address in brackets.
func smartHost(s string) (string, error) {
	if bare, ok := strings.CutPrefix(s, "["); ok {
		if _, err := netip.ParseAddr(strings.TrimSuffix(bare, "]")); err == nil {
			return s, nil
		}
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return "[" + s + "]", nil
	}
	if s == "" || strings.ContainsAny(s, " ,;:/@_") {
		return "", fmt.Errorf("\"%s\" isn't a host name or an IP address in brackets", s)
	}
	return s, nil
}
