//! A selector as a tree. Built by the parser, walked by the evaluator.
//!
//! Chains (`a AND b AND c`, `1 + 2 - 3`) are flat lists, so that the depth of the tree is bounded
//! by the nesting of the text and not by its length.

use std::borrow::Cow;

use super::like::LikePattern;

/// A value a message or a literal can have in a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand<'a> {
    /// Absent, or a result that has no value, such as a division by zero.
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    /// Present, but of a type that conditions cannot look into.
    Opaque,
}

impl<'a> Operand<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub(super) fn owned(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone)]
pub(super) enum Expression {
    Literal(Operand<'static>),
    Identifier(String),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Compare {
        comparison: Comparison,
        left: Box<Expression>,
        right: Box<Expression>,
    },
    Arithmetic {
        first: Box<Expression>,
        rest: Vec<(Arithmetic, Expression)>,
    },
    Negate(Box<Expression>),
    Between {
        value: Box<Expression>,
        low: Box<Expression>,
        high: Box<Expression>,
        negated: bool,
    },
    In {
        value: Box<Expression>,
        items: Vec<Operand<'static>>,
        negated: bool,
    },
    Like {
        value: Box<Expression>,
        pattern: LikePattern,
        negated: bool,
    },
    IsNull {
        value: Box<Expression>,
        negated: bool,
    },
}

impl Expression {
    /// Whether it can be true or false: what stands for a condition must be able to.
    pub(super) fn can_be_condition(&self) -> bool {
        match self {
            Self::Literal(Operand::Boolean(_) | Operand::Null)
            | Self::Identifier(_)
            | Self::Not(_)
            | Self::And(_)
            | Self::Or(_)
            | Self::Compare { .. }
            | Self::Between { .. }
            | Self::In { .. }
            | Self::Like { .. }
            | Self::IsNull { .. } => true,
            Self::Literal(
                Operand::Integer(_) | Operand::Real(_) | Operand::Text(_) | Operand::Opaque,
            )
            | Self::Arithmetic { .. }
            | Self::Negate(_) => false,
        }
    }
}
