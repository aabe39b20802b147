//! Grammar of references, and Velocity's rules for the backslashes and stray characters in front of them. Owns how a reference prints when it has no value.

use super::Parser;
use crate::ParseError;
use crate::ast::{Form, Part, Reference};
use crate::lexer::{Kind, Token};

impl Parser<'_> {
    /// `$a.b(c)[d]`, `${a.b}`, and whatever else begins with an identifier token.
    pub(super) fn reference(&mut self) -> Result<Reference, ParseError> {
        let outer = self.raw.replace(String::new());
        let result = self.nested(Self::reference_tokens);
        let literal = self.raw.take().unwrap_or_default();
        self.raw = outer.map(|outer| outer + &literal);
        let (first, second, parts) = result?;
        Ok(finish(&first, second.as_ref(), parts, &literal))
    }

    fn reference_tokens(&mut self) -> Result<(Token, Option<Token>, Vec<Part>), ParseError> {
        let first = self.next()?;
        let second = match first.kind {
            Kind::Identifier => None,
            Kind::LeftCurly => Some(self.require(Kind::Identifier)?),
            _ => return Err(self.unexpected(&first)),
        };
        let mut parts = Vec::new();
        self.indexes(&mut parts)?;
        while self.peek(0)? == Kind::Dot && self.peek(1)? == Kind::Identifier {
            self.next()?;
            let method = self.peek(1)? == Kind::LeftParen && starts_arguments(self.peek(2)?);
            let name = self.next()?.image;
            parts.push(if method {
                Part::Method { name, args: self.arguments()? }
            } else {
                Part::Property(name)
            });
            self.indexes(&mut parts)?;
        }
        if second.is_some() {
            self.require(Kind::RightCurly)?;
        }
        Ok((first, second, parts))
    }

    fn indexes(&mut self, parts: &mut Vec<Part>) -> Result<(), ParseError> {
        while self.skip(Kind::IndexLeft)? {
            self.skip(Kind::Whitespace)?;
            let index = match self.peek(0)? {
                Kind::StringLiteral
                | Kind::Integer
                | Kind::True
                | Kind::False
                | Kind::Identifier
                | Kind::LeftCurly => self.primary()?,
                _ => {
                    let token = self.next()?;
                    return Err(self.unexpected(&token));
                }
            };
            self.skip(Kind::Whitespace)?;
            self.require(Kind::IndexRight)?;
            parts.push(Part::Index(index));
        }
        Ok(())
    }

    fn arguments(&mut self) -> Result<Vec<crate::ast::Expr>, ParseError> {
        self.require(Kind::LeftParen)?;
        let mut args = Vec::new();
        if self.peek(0)? != Kind::MethodRightParen {
            args.push(self.parameter()?);
            while self.skip(Kind::Comma)? {
                args.push(self.parameter()?);
            }
        }
        self.require(Kind::MethodRightParen)?;
        Ok(args)
    }
}

fn starts_arguments(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::MethodRightParen
            | Kind::Whitespace
            | Kind::StringLiteral
            | Kind::Integer
            | Kind::Float
            | Kind::LeftBracket
            | Kind::LeftCurley
            | Kind::True
            | Kind::False
            | Kind::Identifier
            | Kind::LeftCurly
    )
}

fn finish(first: &Token, second: Option<&Token>, parts: Vec<Part>, literal: &str) -> Reference {
    let image = first.image.as_str();
    let rest = literal.get(image.len()..).unwrap_or_default();
    if let Some(slashes) = slash_bang(image) {
        return Reference {
            form: Form::Plain,
            prefix: String::new(),
            root: String::new(),
            parts: Vec::new(),
            literal: slashes,
        };
    }
    let bare = image.trim_start_matches('\\');
    let slashes = image.len() - bare.len();
    let (stray, bare) = bare.split_at(bare.rfind('$').unwrap_or(0));
    let quiet = bare.starts_with("$!");
    let form = match bare.chars().next() {
        Some('$') if slashes % 2 == 1 => Form::Escaped,
        Some('$') => Form::Live,
        _ => Form::Plain,
    };
    let root = match second {
        Some(name) => name.image.clone(),
        None => bare.get(if quiet { 2 } else { 1 }..).unwrap_or_default().to_owned(),
    };
    let literal = match form {
        Form::Plain => bare.to_owned(),
        Form::Live | Form::Escaped => format!("{bare}{rest}"),
    };
    let half = "\\".repeat(slashes / 2);
    let prefix = if form == Form::Escaped { half } else { half + stray };
    Reference { form, prefix, root, parts, literal }
}

/// `$\\!x` is text: one backslash fewer than written.
fn slash_bang(image: &str) -> Option<String> {
    if !image.contains("\\!") {
        return None;
    }
    let dollar = image.find('$')?;
    let slash = dollar + image.get(dollar..)?.find('\\')?;
    let (before, after) = image.split_at(slash);
    Some(before.to_owned() + after.get(1..).unwrap_or_default())
}
