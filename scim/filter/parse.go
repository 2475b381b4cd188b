package filter

import (
	"strings"
	"unicode/utf8"

	ast "github.com/scim2/filter-parser/v2"
)

// parser is a recursive descent parser. Its recursion is bounded by
// Limits.Depth.
type parser struct {
	scanner
	element bool // within the brackets of a value path, which do not nest
	loose   bool // text may stand without its quotes
}

// filter parses a whole text.
func (p *parser) filter() (ast.Expression, *Error) {
	if err := p.length(); err != nil {
		return nil, err
	}
	e, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	if !p.ended() {
		return nil, p.expected(p.pos, `"and", "or" or the end of the filter`)
	}
	return e, nil
}

// path parses a whole text as a path.
func (p *parser) path() (ast.Path, *Error) {
	if err := p.length(); err != nil {
		return ast.Path{}, err
	}
	attribute, err := p.attribute()
	if err != nil {
		return ast.Path{}, err
	}
	path := ast.Path{AttributePath: attribute}
	if p.peek() == '[' {
		if path.ValueExpression, err = p.brackets(); err != nil {
			return ast.Path{}, err
		}
		if path.SubAttribute, err = p.sub(); err != nil {
			return ast.Path{}, err
		}
	}
	if !p.ended() {
		return ast.Path{}, p.expected(p.pos, "the end of the path")
	}
	return path, nil
}

func (p *parser) disjunction() (ast.Expression, *Error) {
	left, err := p.conjunction()
	for err == nil && p.keyword("or") {
		var right ast.Expression
		right, err = p.conjunction()
		left = &ast.LogicalExpression{Left: left, Right: right, Operator: ast.OR}
	}
	return left, err
}

func (p *parser) conjunction() (ast.Expression, *Error) {
	left, err := p.operand()
	for err == nil && p.keyword("and") {
		var right ast.Expression
		right, err = p.operand()
		left = &ast.LogicalExpression{Left: left, Right: right, Operator: ast.AND}
	}
	return left, err
}

// operand parses what stands between "and" and "or".
func (p *parser) operand() (ast.Expression, *Error) {
	switch c := p.peek(); {
	case c == '(':
		return p.parentheses()
	case classes[c]&word == 0:
		return nil, p.expected(p.pos, `an attribute path, "not" or "("`)
	}
	start := p.pos
	attribute, err := p.attribute()
	if err != nil {
		return nil, err
	}
	switch c := p.peek(); {
	case c == '(' && isNot(attribute):
		e, err := p.parentheses()
		return &ast.NotExpression{Expression: e}, err
	case c == '[' && !p.element:
		return p.valuePath(attribute)
	}
	return p.comparison(attribute, start)
}

// isNot reports whether what looked like an attribute path is the word "not".
// It is one only before a parenthesis: an attribute may have that name.
func isNot(a ast.AttributePath) bool {
	return a.URIPrefix == nil && a.SubAttribute == nil && strings.EqualFold(a.AttributeName, "not")
}

func (p *parser) parentheses() (ast.Expression, *Error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	e, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	return e, p.close(')', `"and", "or" or ")"`)
}

func (p *parser) brackets() (ast.Expression, *Error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	p.element = true
	e, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	p.element = false
	return e, p.close(']', `"and", "or" or "]"`)
}

// sub parses the sub-attribute behind brackets, if there is one.
func (p *parser) sub() (*string, *Error) {
	if p.pos == len(p.text) || p.text[p.pos] != '.' {
		return nil, nil
	}
	p.pos++
	name := p.name()
	if name == "" {
		return nil, p.expected(p.pos, "an attribute name")
	}
	return &name, nil
}

func (p *parser) valuePath(attribute ast.AttributePath) (ast.Expression, *Error) {
	e, err := p.brackets()
	if err != nil {
		return nil, err
	}
	start := p.pos
	name, err := p.sub()
	if err != nil {
		return nil, err
	}
	if name != nil {
		term, err := p.comparison(ast.AttributePath{AttributeName: *name}, start)
		if err != nil {
			return nil, err
		}
		e = &ast.LogicalExpression{Left: e, Right: term, Operator: ast.AND}
	}
	return &ast.ValuePath{AttributePath: attribute, ValueFilter: e}, nil
}

// comparison parses an operator and its value.
func (p *parser) comparison(attribute ast.AttributePath, start int) (ast.Expression, *Error) {
	if err := p.term(start); err != nil {
		return nil, err
	}
	operator, err := p.operator()
	if err != nil {
		return nil, err
	}
	e := &ast.AttributeExpression{AttributePath: attribute, Operator: operator}
	if operator == ast.PR {
		return e, nil
	}
	if e.CompareValue, err = p.value(); err != nil {
		return nil, err
	}
	return e, nil
}

func (p *parser) operator() (ast.CompareOperator, *Error) {
	p.peek()
	end := p.run(p.pos, word)
	if end == p.pos+2 {
		// Lower case for letters, and no other byte becomes a letter.
		first, second := p.text[p.pos]|0x20, p.text[p.pos+1]|0x20
		for i := range operators {
			if name := operators[i].name; name[0] == first && name[1] == second {
				p.pos = end
				return name, nil
			}
		}
	}
	return "", p.expected(p.pos, "an operator (eq, ne, co, sw, ew, pr, gt, ge, lt or le)")
}

func (p *parser) value() (any, *Error) {
	if !p.loose || p.peek() == '"' {
		return p.literal()
	}
	if p.peek() == '\'' {
		return p.singleQuoted()
	}
	start, end := p.pos, p.run(p.pos, bare)
	v, err := p.literal()
	if err == nil && p.pos == end {
		return v, nil
	}
	word := p.text[start:end]
	if p.pos = start; !isBare(word) {
		return p.literal()
	}
	p.pos = end
	return word, nil
}

// isBare reports whether a word may stand for text without quotes. The words of
// the grammar may not: a filter that lost its value would compare with them.
func isBare(word string) bool {
	switch strings.ToLower(word) {
	case "", "and", "or", "not":
		return false
	}
	return utf8.ValidString(word)
}

// literal parses a value of RFC 7644.
func (p *parser) literal() (any, *Error) {
	switch c := p.peek(); {
	case c == '"':
		return p.quoted()
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case p.keyword("true"):
		return true, nil
	case p.keyword("false"):
		return false, nil
	case p.keyword("null"):
		return nil, nil
	}
	return nil, p.expected(p.pos, "a value (text in double quotes, a number, true, false or null)")
}
