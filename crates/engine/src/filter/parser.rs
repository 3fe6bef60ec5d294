//! From tokens to an expression, by recursive descent.
//!
//! ```text
//!   or      = and { OR and }
//!   and     = not { AND not }
//!   not     = NOT not | test
//!   test    = sum [ comparison sum | [NOT] BETWEEN sum AND sum | [NOT] IN ( literals )
//!                 | [NOT] LIKE text [ESCAPE text] | IS [NOT] NULL ]
//!   sum     = product { (+|-) product }
//!   product = signed { (*|/|%) signed }
//!   signed  = (+|-) signed | literal | identifier | ( or )
//! ```
//! Each recursion is counted, so a hostile text cannot exhaust the stack.

use std::borrow::Cow;

use super::expression::{Arithmetic, Comparison, Expression, Operand};
use super::lexer::{Keyword, Located, Symbol, Token};
use super::like::LikePattern;
use super::{FilterError, MAX_NESTING};

/// Reads a whole condition. `length` is the position reported for an unexpected end.
pub(super) fn parse(tokens: &[Located], length: usize) -> Result<Expression, FilterError> {
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        end: length + 1,
    };
    let expression = parser.or()?;
    if parser.at < tokens.len() {
        return Err(parser.unexpected("the end of the filter, AND or OR"));
    }
    require_condition(&expression, 1)?;
    Ok(expression)
}

struct Parser<'a> {
    tokens: &'a [Located],
    at: usize,
    depth: usize,
    end: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Expression, FilterError> {
        self.chain(Keyword::Or, Self::and, Expression::Or)
    }

    fn and(&mut self) -> Result<Expression, FilterError> {
        self.chain(Keyword::And, Self::not, Expression::And)
    }

    fn chain(
        &mut self,
        keyword: Keyword,
        part: fn(&mut Self) -> Result<Expression, FilterError>,
        build: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, FilterError> {
        let start = self.position();
        let first = part(self)?;
        if self.peek() != Some(&Token::Keyword(keyword)) {
            return Ok(first);
        }
        require_condition(&first, start)?;
        let mut parts = vec![first];
        while self.take_keyword(keyword) {
            let start = self.position();
            let next = part(self)?;
            require_condition(&next, start)?;
            parts.push(next);
        }
        Ok(build(parts))
    }

    fn not(&mut self) -> Result<Expression, FilterError> {
        if !self.take_keyword(Keyword::Not) {
            return self.test();
        }
        self.descend()?;
        let start = self.position();
        let inner = self.not()?;
        require_condition(&inner, start)?;
        self.depth -= 1;
        Ok(Expression::Not(Box::new(inner)))
    }

    fn test(&mut self) -> Result<Expression, FilterError> {
        let value = self.sum()?;
        if let Some(comparison) = self.take_comparison() {
            let right = self.sum()?;
            return Ok(Expression::Compare {
                comparison,
                left: Box::new(value),
                right: Box::new(right),
            });
        }
        if self.take_keyword(Keyword::Is) {
            let negated = self.take_keyword(Keyword::Not);
            self.expect_keyword(Keyword::Null, "NULL")?;
            return Ok(Expression::IsNull {
                value: Box::new(value),
                negated,
            });
        }
        let negated = self.take_keyword(Keyword::Not);
        if self.take_keyword(Keyword::Between) {
            let low = self.sum()?;
            self.expect_keyword(Keyword::And, "AND")?;
            let high = self.sum()?;
            return Ok(Expression::Between {
                value: Box::new(value),
                low: Box::new(low),
                high: Box::new(high),
                negated,
            });
        }
        if self.take_keyword(Keyword::In) {
            let items = self.items()?;
            return Ok(Expression::In {
                value: Box::new(value),
                items,
                negated,
            });
        }
        if self.take_keyword(Keyword::Like) {
            let pattern = self.pattern()?;
            return Ok(Expression::Like {
                value: Box::new(value),
                pattern,
                negated,
            });
        }
        if negated {
            return Err(self.unexpected("BETWEEN, IN or LIKE"));
        }
        Ok(value)
    }

    fn items(&mut self) -> Result<Vec<Operand<'static>>, FilterError> {
        self.expect_symbol(Symbol::Open, "'('")?;
        let mut items = Vec::new();
        loop {
            let negative = self.take_symbol(Symbol::Minus);
            items.push(
                self.literal(negative)?
                    .ok_or_else(|| self.unexpected("a literal"))?,
            );
            if self.take_symbol(Symbol::Close) {
                return Ok(items);
            }
            self.expect_symbol(Symbol::Comma, "',' or ')'")?;
        }
    }

    fn pattern(&mut self) -> Result<LikePattern, FilterError> {
        let pattern = self.text()?;
        if !self.take_keyword(Keyword::Escape) {
            return Ok(LikePattern::new(&pattern, None));
        }
        let position = self.position();
        let escape = self.text()?;
        let mut characters = escape.chars();
        match (characters.next(), characters.next()) {
            (Some(escape), None) => Ok(LikePattern::new(&pattern, Some(escape))),
            (None, _) | (Some(_), Some(_)) => Err(FilterError::BadEscape { position }),
        }
    }

    fn text(&mut self) -> Result<String, FilterError> {
        let Some(Token::Text(text)) = self.peek() else {
            return Err(self.unexpected("a text in quotes"));
        };
        let text = text.clone();
        self.at += 1;
        Ok(text)
    }

    fn sum(&mut self) -> Result<Expression, FilterError> {
        let operators = [
            (Symbol::Plus, Arithmetic::Add),
            (Symbol::Minus, Arithmetic::Subtract),
        ];
        self.arithmetic(&operators, Self::product)
    }

    fn product(&mut self) -> Result<Expression, FilterError> {
        let operators = [
            (Symbol::Star, Arithmetic::Multiply),
            (Symbol::Slash, Arithmetic::Divide),
            (Symbol::Percent, Arithmetic::Remainder),
        ];
        self.arithmetic(&operators, Self::signed)
    }

    fn arithmetic(
        &mut self,
        operators: &[(Symbol, Arithmetic)],
        part: fn(&mut Self) -> Result<Expression, FilterError>,
    ) -> Result<Expression, FilterError> {
        let first = part(self)?;
        let mut rest = Vec::new();
        'next: loop {
            for (symbol, operator) in operators {
                if self.take_symbol(*symbol) {
                    rest.push((*operator, part(self)?));
                    continue 'next;
                }
            }
            break;
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expression::Arithmetic {
            first: Box::new(first),
            rest,
        })
    }

    fn signed(&mut self) -> Result<Expression, FilterError> {
        if self.take_symbol(Symbol::Minus) {
            if let Some(literal) = self.literal(true)? {
                return Ok(Expression::Literal(literal));
            }
            self.descend()?;
            let inner = self.signed()?;
            self.depth -= 1;
            return Ok(Expression::Negate(Box::new(inner)));
        }
        if self.take_symbol(Symbol::Plus) {
            self.descend()?;
            let inner = self.signed()?;
            self.depth -= 1;
            return Ok(inner);
        }
        if self.take_symbol(Symbol::Open) {
            self.descend()?;
            let inner = self.or()?;
            self.depth -= 1;
            self.expect_symbol(Symbol::Close, "')'")?;
            return Ok(inner);
        }
        if let Some(Token::Identifier(name)) = self.peek() {
            let name = name.clone();
            self.at += 1;
            return Ok(Expression::Identifier(name));
        }
        match self.literal(false)? {
            Some(literal) => Ok(Expression::Literal(literal)),
            None => Err(self.unexpected("a value")),
        }
    }

    /// The literal that comes next, if one does; after a minus sign only a number is taken.
    fn literal(&mut self, negative: bool) -> Result<Option<Operand<'static>>, FilterError> {
        let literal = match self.peek() {
            Some(Token::Integer(value)) => Operand::Integer(if negative { -value } else { *value }),
            Some(Token::IntegerLimit) if negative => Operand::Integer(i64::MIN),
            Some(Token::IntegerLimit) => {
                return Err(FilterError::BadNumber {
                    text: "9223372036854775808".to_owned(),
                    position: self.position(),
                });
            }
            Some(Token::Real(value)) => Operand::Real(if negative { -value } else { *value }),
            Some(Token::Text(text)) if !negative => Operand::Text(Cow::Owned(text.clone())),
            Some(Token::Keyword(Keyword::True)) if !negative => Operand::Boolean(true),
            Some(Token::Keyword(Keyword::False)) if !negative => Operand::Boolean(false),
            Some(Token::Keyword(Keyword::Null)) if !negative => Operand::Null,
            Some(Token::Identifier(_) | Token::Text(_) | Token::Keyword(_) | Token::Symbol(_))
            | None => return Ok(None),
        };
        self.at += 1;
        Ok(Some(literal))
    }

    fn take_comparison(&mut self) -> Option<Comparison> {
        let Some(Token::Symbol(symbol)) = self.peek() else {
            return None;
        };
        let comparison = match symbol {
            Symbol::Equal => Comparison::Equal,
            Symbol::NotEqual => Comparison::NotEqual,
            Symbol::Less => Comparison::Less,
            Symbol::LessOrEqual => Comparison::LessOrEqual,
            Symbol::Greater => Comparison::Greater,
            Symbol::GreaterOrEqual => Comparison::GreaterOrEqual,
            Symbol::Plus
            | Symbol::Minus
            | Symbol::Star
            | Symbol::Slash
            | Symbol::Percent
            | Symbol::Open
            | Symbol::Close
            | Symbol::Comma => return None,
        };
        self.at += 1;
        Some(comparison)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|located| &located.token)
    }

    fn position(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.end, |located| located.position)
    }

    fn take_keyword(&mut self, keyword: Keyword) -> bool {
        let found = self.peek() == Some(&Token::Keyword(keyword));
        self.at += usize::from(found);
        found
    }

    fn take_symbol(&mut self, symbol: Symbol) -> bool {
        let found = self.peek() == Some(&Token::Symbol(symbol));
        self.at += usize::from(found);
        found
    }

    fn expect_keyword(
        &mut self,
        keyword: Keyword,
        expected: &'static str,
    ) -> Result<(), FilterError> {
        if self.take_keyword(keyword) {
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn expect_symbol(&mut self, symbol: Symbol, expected: &'static str) -> Result<(), FilterError> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn unexpected(&self, expected: &'static str) -> FilterError {
        FilterError::Unexpected {
            expected,
            position: self.position(),
        }
    }

    fn descend(&mut self) -> Result<(), FilterError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(FilterError::TooDeep);
        }
        Ok(())
    }
}

fn require_condition(expression: &Expression, position: usize) -> Result<(), FilterError> {
    if expression.can_be_condition() {
        return Ok(());
    }
    Err(FilterError::Unexpected {
        expected: "a condition",
        position,
    })
}
