//! Applies an expression to a message, in the three-valued logic of SQL: true, false, unknown.
//!
//! A comparison with an absent value is unknown; one between values of different kinds (a text and
//! a number) is false. Nothing here fails: what has no value is null.

use std::cmp::Ordering;

use super::expression::{Arithmetic, Comparison, Expression, Operand};
use super::fields::Fields;

/// Whether the condition holds; `None` is unknown.
pub(super) fn condition<F: Fields>(
    expression: &Expression,
    fields: &F,
    convert_text: bool,
) -> Option<bool> {
    Evaluator {
        fields,
        convert_text,
    }
    .condition(expression)
}

struct Evaluator<'f, F> {
    fields: &'f F,
    /// Whether texts stand for numbers where numbers are compared.
    convert_text: bool,
}

impl<F: Fields> Evaluator<'_, F> {
    fn condition(&self, expression: &Expression) -> Option<bool> {
        match expression {
            Expression::Not(inner) => self.condition(inner).map(|holds| !holds),
            Expression::And(parts) => self.chain(parts, false),
            Expression::Or(parts) => self.chain(parts, true),
            Expression::Compare {
                comparison,
                left,
                right,
            } => self.compare(*comparison, &self.value(left), &self.value(right)),
            Expression::Between {
                value,
                low,
                high,
                negated,
            } => {
                let value = self.value(value);
                let above = self.compare(Comparison::GreaterOrEqual, &value, &self.value(low));
                let below = self.compare(Comparison::LessOrEqual, &value, &self.value(high));
                negate(and(above, below), *negated)
            }
            Expression::In {
                value,
                items,
                negated,
            } => {
                let value = self.value(value);
                if value == Operand::Null {
                    return None;
                }
                let found = items
                    .iter()
                    .any(|item| self.compare(Comparison::Equal, &value, item) == Some(true));
                negate(Some(found), *negated)
            }
            Expression::Like {
                value,
                pattern,
                negated,
            } => match self.value(value) {
                Operand::Null => None,
                Operand::Text(text) => negate(Some(pattern.matches(&text)), *negated),
                Operand::Boolean(_) | Operand::Integer(_) | Operand::Real(_) | Operand::Opaque => {
                    Some(false)
                }
            },
            Expression::IsNull { value, negated } => {
                Some((self.value(value) == Operand::Null) != *negated)
            }
            Expression::Literal(_)
            | Expression::Identifier(_)
            | Expression::Arithmetic { .. }
            | Expression::Negate(_) => match self.value(expression) {
                Operand::Boolean(holds) => Some(holds),
                Operand::Null => None,
                Operand::Integer(_) | Operand::Real(_) | Operand::Text(_) | Operand::Opaque => {
                    Some(false)
                }
            },
        }
    }

    /// AND (`decisive` false) or OR (`decisive` true): one decisive part decides; otherwise one
    /// unknown part makes it unknown.
    fn chain(&self, parts: &[Expression], decisive: bool) -> Option<bool> {
        let mut known = true;
        for part in parts {
            match self.condition(part) {
                Some(holds) if holds == decisive => return Some(decisive),
                Some(_) => {}
                None => known = false,
            }
        }
        known.then_some(!decisive)
    }

    fn value<'e>(&'e self, expression: &'e Expression) -> Operand<'e> {
        match expression {
            Expression::Literal(literal) => literal.clone(),
            Expression::Identifier(name) => self.fields.field(name),
            Expression::Negate(inner) => match self.number(self.value(inner)) {
                Some(Number::Integer(value)) => Operand::Integer(value.wrapping_neg()),
                Some(Number::Real(value)) => Operand::Real(-value),
                None => Operand::Null,
            },
            Expression::Arithmetic { first, rest } => {
                let Some(mut result) = self.number(self.value(first)) else {
                    return Operand::Null;
                };
                for (operator, operand) in rest {
                    let next = self
                        .number(self.value(operand))
                        .and_then(|operand| calculate(*operator, result, operand));
                    let Some(next) = next else {
                        return Operand::Null;
                    };
                    result = next;
                }
                match result {
                    Number::Integer(value) => Operand::Integer(value),
                    Number::Real(value) => Operand::Real(value),
                }
            }
            Expression::Not(_)
            | Expression::And(_)
            | Expression::Or(_)
            | Expression::Compare { .. }
            | Expression::Between { .. }
            | Expression::In { .. }
            | Expression::Like { .. }
            | Expression::IsNull { .. } => match self.condition(expression) {
                Some(holds) => Operand::Boolean(holds),
                None => Operand::Null,
            },
        }
    }

    fn compare(
        &self,
        comparison: Comparison,
        left: &Operand<'_>,
        right: &Operand<'_>,
    ) -> Option<bool> {
        if *left == Operand::Null || *right == Operand::Null {
            return None;
        }
        match (left, right) {
            (Operand::Text(left), Operand::Text(right)) => {
                Some(equality(comparison, left == right))
            }
            (Operand::Boolean(left), Operand::Boolean(right)) => {
                Some(equality(comparison, left == right))
            }
            _ => {
                let (Some(left), Some(right)) =
                    (self.number(left.clone()), self.number(right.clone()))
                else {
                    return Some(false);
                };
                Some(order(left, right).is_some_and(|order| holds(comparison, order)))
            }
        }
    }

    fn number(&self, operand: Operand<'_>) -> Option<Number> {
        match operand {
            Operand::Integer(value) => Some(Number::Integer(value)),
            Operand::Real(value) => Some(Number::Real(value)),
            Operand::Text(text) if self.convert_text => text
                .parse()
                .map(Number::Integer)
                .or_else(|_| text.parse().map(Number::Real))
                .ok(),
            Operand::Text(_) | Operand::Null | Operand::Boolean(_) | Operand::Opaque => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Integer(i64),
    Real(f64),
}

impl Number {
    #[expect(
        clippy::cast_precision_loss,
        reason = "mixed arithmetic is done in double, as in SQL"
    )]
    fn real(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}

/// Integers stay integers and wrap like Java's; dividing one by zero has no value.
fn calculate(operator: Arithmetic, left: Number, right: Number) -> Option<Number> {
    if let (Number::Integer(left), Number::Integer(right)) = (left, right) {
        let result = match operator {
            Arithmetic::Add => left.wrapping_add(right),
            Arithmetic::Subtract => left.wrapping_sub(right),
            Arithmetic::Multiply => left.wrapping_mul(right),
            Arithmetic::Divide | Arithmetic::Remainder if right == 0 => return None,
            Arithmetic::Divide => left.wrapping_div(right),
            Arithmetic::Remainder => left.wrapping_rem(right),
        };
        return Some(Number::Integer(result));
    }
    let (left, right) = (left.real(), right.real());
    Some(Number::Real(match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
    }))
}

fn order(left: Number, right: Number) -> Option<Ordering> {
    match (left, right) {
        (Number::Integer(left), Number::Integer(right)) => Some(left.cmp(&right)),
        (Number::Integer(_) | Number::Real(_), Number::Integer(_) | Number::Real(_)) => {
            left.real().partial_cmp(&right.real())
        }
    }
}

fn holds(comparison: Comparison, order: Ordering) -> bool {
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

/// Texts and booleans have no order: only = and <> say something about them.
fn equality(comparison: Comparison, equal: bool) -> bool {
    match comparison {
        Comparison::Equal => equal,
        Comparison::NotEqual => !equal,
        Comparison::Less
        | Comparison::LessOrEqual
        | Comparison::Greater
        | Comparison::GreaterOrEqual => false,
    }
}

fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        (None, Some(true) | None) | (Some(true), None) => None,
    }
}

fn negate(holds: Option<bool>, negated: bool) -> Option<bool> {
    holds.map(|holds| holds != negated)
}
