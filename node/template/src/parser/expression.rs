//! Grammar of expressions: precedence, literals, lists, maps, ranges. Owns nothing about values.

use super::Parser;
use crate::ParseError;
use crate::ast::{Expr, Operator};
use crate::lexer::Kind;

/// Operators from the loosest level to the tightest.
const LEVELS: [&[(Kind, Operator)]; 6] = [
    &[(Kind::Or, Operator::Or)],
    &[(Kind::And, Operator::And)],
    &[(Kind::Equal, Operator::Equal), (Kind::NotEqual, Operator::NotEqual)],
    &[
        (Kind::Less, Operator::Less),
        (Kind::Greater, Operator::Greater),
        (Kind::LessEqual, Operator::LessEqual),
        (Kind::GreaterEqual, Operator::GreaterEqual),
    ],
    &[(Kind::Plus, Operator::Add), (Kind::Minus, Operator::Subtract)],
    &[
        (Kind::Multiply, Operator::Multiply),
        (Kind::Divide, Operator::Divide),
        (Kind::Modulus, Operator::Modulus),
    ],
];

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Result<Expr, ParseError> {
        self.nested(|parser| parser.level(0))
    }

    fn level(&mut self, level: usize) -> Result<Expr, ParseError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let first = self.level(level + 1)?;
        let mut rest = Vec::new();
        loop {
            let kind = self.peek(0)?;
            let Some((_, operator)) = operators.iter().find(|(candidate, _)| *candidate == kind) else {
                break;
            };
            self.next()?;
            rest.push((*operator, self.level(level + 1)?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Chain(Box::new(first), rest) })
    }

    fn unary(&mut self) -> Result<Expr, ParseError> {
        let blank = usize::from(self.peek(0)? == Kind::Whitespace);
        if self.peek(blank)? == Kind::Not {
            self.skip(Kind::Whitespace)?;
            self.next()?;
            return self.nested(|parser| Ok(Expr::Not(Box::new(parser.unary()?))));
        }
        self.skip(Kind::Whitespace)?;
        let value = if self.skip(Kind::LeftParen)? {
            let inner = self.expression()?;
            self.require(Kind::RightParen)?;
            inner
        } else {
            self.primary()?
        };
        self.skip(Kind::Whitespace)?;
        Ok(value)
    }

    /// One element of a list, map or argument list, blanks around it included.
    pub(super) fn parameter(&mut self) -> Result<Expr, ParseError> {
        self.skip(Kind::Whitespace)?;
        let value = self.primary()?;
        self.skip(Kind::Whitespace)?;
        Ok(value)
    }

    pub(super) fn primary(&mut self) -> Result<Expr, ParseError> {
        Ok(match self.peek(0)? {
            Kind::StringLiteral => self.string_literal()?,
            Kind::Integer => Expr::Integer(self.next()?.image),
            Kind::Float => Expr::Float(self.next()?.image),
            Kind::Identifier | Kind::LeftCurly => Expr::Reference(Box::new(self.reference()?)),
            Kind::LeftBracket => self.nested(Self::list)?,
            Kind::LeftCurley => self.nested(Self::map)?,
            kind @ (Kind::True | Kind::False) => {
                self.next()?;
                Expr::Bool(kind == Kind::True)
            }
            _ => {
                let token = self.next()?;
                return Err(self.unexpected(&token));
            }
        })
    }

    /// `[a, b]` or `[from..to]`; only integers and references may bound a range.
    fn list(&mut self) -> Result<Expr, ParseError> {
        self.require(Kind::LeftBracket)?;
        if self.skip(Kind::RightBracket)? {
            return Ok(Expr::List(Vec::new()));
        }
        let first = self.parameter()?;
        if matches!(first, Expr::Integer(_) | Expr::Reference(_)) && self.skip(Kind::DoubleDot)? {
            self.skip(Kind::Whitespace)?;
            let last = match self.peek(0)? {
                Kind::Integer | Kind::Identifier | Kind::LeftCurly => self.primary()?,
                _ => {
                    let token = self.next()?;
                    return Err(self.unexpected(&token));
                }
            };
            self.skip(Kind::Whitespace)?;
            self.require(Kind::RightBracket)?;
            return Ok(Expr::Range(Box::new(first), Box::new(last)));
        }
        let mut items = vec![first];
        while self.skip(Kind::Comma)? {
            items.push(self.parameter()?);
        }
        self.require(Kind::RightBracket)?;
        Ok(Expr::List(items))
    }

    fn map(&mut self) -> Result<Expr, ParseError> {
        self.require(Kind::LeftCurley)?;
        let mut pairs = Vec::new();
        let blank = usize::from(self.peek(0)? == Kind::Whitespace);
        if matches!(self.peek(blank)?, Kind::RightCurley | Kind::RightCurly) {
            self.skip(Kind::Whitespace)?;
        } else {
            loop {
                let key = self.parameter()?;
                self.require(Kind::Colon)?;
                pairs.push((key, self.parameter()?));
                if !self.skip(Kind::Comma)? {
                    break;
                }
            }
        }
        let close = self.next()?;
        match close.kind {
            Kind::RightCurley | Kind::RightCurly => Ok(Expr::Map(pairs)),
            _ => Err(self.unexpected(&close)),
        }
    }
}
