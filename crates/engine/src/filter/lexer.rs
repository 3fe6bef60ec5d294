//! From text to tokens.
//!
//! Keywords are known whatever their case; what is an identifier follows the rules of JMS: letters,
//! digits, `_`, `$` and dots, and hyphens where a directive allows them.

use super::FilterError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Identifier(String),
    Text(String),
    Integer(i64),
    /// 2^63, which is a number only after a minus sign.
    IntegerLimit,
    Real(f64),
    Keyword(Keyword),
    Symbol(Symbol),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    And,
    Or,
    Not,
    Between,
    In,
    Like,
    Escape,
    Is,
    Null,
    True,
    False,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Open,
    Close,
    Comma,
}

/// A token and where it begins, in characters from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Located {
    pub(super) token: Token,
    pub(super) position: usize,
}

/// All tokens of a text.
pub(super) fn tokens(text: &str, hyphens: bool) -> Result<Vec<Located>, FilterError> {
    let characters: Vec<char> = text.chars().collect();
    let mut lexer = Lexer {
        characters: &characters,
        at: 0,
        hyphens,
    };
    let mut tokens = Vec::new();
    while let Some(located) = lexer.next()? {
        tokens.push(located);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    characters: &'a [char],
    at: usize,
    hyphens: bool,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Option<Located>, FilterError> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let position = self.at + 1;
        let Some(first) = self.peek(0) else {
            return Ok(None);
        };
        let token = match first {
            '\'' | '"' => self.text(first, position)?,
            '0'..='9' => self.number(position)?,
            '.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => {
                self.number(position)?
            }
            _ if is_identifier_start(first) => self.word(),
            _ => self.symbol(first, position)?,
        };
        Ok(Some(Located { token, position }))
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    /// A text in quotes; a doubled quote is one quote in it.
    fn text(&mut self, quote: char, position: usize) -> Result<Token, FilterError> {
        self.at += 1;
        let mut text = String::new();
        while let Some(character) = self.peek(0) {
            self.at += 1;
            if character != quote {
                text.push(character);
            } else if self.peek(0) == Some(quote) {
                self.at += 1;
                text.push(quote);
            } else {
                return Ok(Token::Text(text));
            }
        }
        Err(FilterError::UnclosedText { position })
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        while self.peek(0).is_some_and(|next| {
            is_identifier_start(next)
                || next.is_numeric()
                || next == '.'
                || (self.hyphens && next == '-')
        }) {
            self.at += 1;
        }
        let word: String = self.characters[start..self.at].iter().collect();
        match word.to_ascii_uppercase().as_str() {
            "AND" => Token::Keyword(Keyword::And),
            "OR" => Token::Keyword(Keyword::Or),
            "NOT" => Token::Keyword(Keyword::Not),
            "BETWEEN" => Token::Keyword(Keyword::Between),
            "IN" => Token::Keyword(Keyword::In),
            "LIKE" => Token::Keyword(Keyword::Like),
            "ESCAPE" => Token::Keyword(Keyword::Escape),
            "IS" => Token::Keyword(Keyword::Is),
            "NULL" => Token::Keyword(Keyword::Null),
            "TRUE" => Token::Keyword(Keyword::True),
            "FALSE" => Token::Keyword(Keyword::False),
            _ => Token::Identifier(word),
        }
    }

    fn number(&mut self, position: usize) -> Result<Token, FilterError> {
        let start = self.at;
        if self.peek(0) == Some('0') && matches!(self.peek(1), Some('x' | 'X')) {
            return self.hexadecimal(position);
        }
        self.digits();
        let mut real = false;
        if self.peek(0) == Some('.') {
            real = true;
            self.at += 1;
            self.digits();
        }
        if matches!(self.peek(0), Some('e' | 'E')) {
            let sign = usize::from(matches!(self.peek(1), Some('+' | '-')));
            if self
                .peek(1 + sign)
                .is_some_and(|next| next.is_ascii_digit())
            {
                real = true;
                self.at += 1 + sign;
                self.digits();
            }
        }
        let text: String = self.characters[start..self.at].iter().collect();
        match self.peek(0) {
            Some('l' | 'L') if !real => self.at += 1,
            Some('f' | 'F' | 'd' | 'D') => {
                real = true;
                self.at += 1;
            }
            Some(_) | None => {}
        }
        if self.peek(0).is_some_and(is_identifier_start) {
            let rest: String = self.characters[start..=self.at].iter().collect();
            return Err(FilterError::BadNumber {
                text: rest,
                position,
            });
        }
        if real {
            return match text.parse() {
                Ok(value) => Ok(Token::Real(value)),
                Err(_) => Err(FilterError::BadNumber { text, position }),
            };
        }
        match text.parse::<u64>() {
            Ok(value) if value == 1 << 63 => Ok(Token::IntegerLimit),
            Ok(value) => match i64::try_from(value) {
                Ok(value) => Ok(Token::Integer(value)),
                Err(_) => Err(FilterError::BadNumber { text, position }),
            },
            Err(_) => Err(FilterError::BadNumber { text, position }),
        }
    }

    fn hexadecimal(&mut self, position: usize) -> Result<Token, FilterError> {
        let start = self.at + 2;
        self.at = start;
        while self.peek(0).is_some_and(|next| next.is_ascii_hexdigit()) {
            self.at += 1;
        }
        let digits: String = self.characters[start..self.at].iter().collect();
        let value = i64::from_str_radix(&digits, 16);
        if matches!(self.peek(0), Some('l' | 'L')) {
            self.at += 1;
        }
        value
            .map(Token::Integer)
            .map_err(|_| FilterError::BadNumber {
                text: format!("0x{digits}"),
                position,
            })
    }

    fn digits(&mut self) {
        while self.peek(0).is_some_and(|next| next.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn symbol(&mut self, first: char, position: usize) -> Result<Token, FilterError> {
        let (symbol, length) = match (first, self.peek(1)) {
            ('<', Some('>')) | ('!', Some('=')) => (Symbol::NotEqual, 2),
            ('<', Some('=')) => (Symbol::LessOrEqual, 2),
            ('>', Some('=')) => (Symbol::GreaterOrEqual, 2),
            ('<', _) => (Symbol::Less, 1),
            ('>', _) => (Symbol::Greater, 1),
            ('=', _) => (Symbol::Equal, 1),
            ('+', _) => (Symbol::Plus, 1),
            ('-', _) => (Symbol::Minus, 1),
            ('*', _) => (Symbol::Star, 1),
            ('/', _) => (Symbol::Slash, 1),
            ('%', _) => (Symbol::Percent, 1),
            ('(', _) => (Symbol::Open, 1),
            (')', _) => (Symbol::Close, 1),
            (',', _) => (Symbol::Comma, 1),
            _ => {
                return Err(FilterError::UnexpectedCharacter {
                    character: first,
                    position,
                });
            }
        };
        self.at += length;
        Ok(Token::Symbol(symbol))
    }
}

fn is_identifier_start(character: char) -> bool {
    character.is_alphabetic() || character == '_' || character == '$'
}
