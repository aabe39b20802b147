//! Grammar of Velocity 1.7: statements. Owns the order of alternatives and when a token is fetched, because the lexer's state depends on it.

mod directive;
mod expression;
mod reference;

use crate::ast::{Block, Expr, Node, Program};
use crate::lexer::{Kind, Lexer, Token};
use crate::{ParseError, limits};
use std::collections::VecDeque;

/// Compiles a template.
pub(crate) fn parse(source: &str) -> Result<Program, ParseError> {
    if source.len() > limits::TEMPLATE_BYTES_MAX {
        return Err(ParseError { line: 1, column: 1, message: "the template is too long".to_owned() });
    }
    let mut program = Program::default();
    let main = parse_into(source, &mut program, 0)?;
    program.main = main;
    Ok(program)
}

/// Parses a source whose blocks and macros go to `program`; interpolated strings come here too, one level deeper.
fn parse_into(source: &str, program: &mut Program, depth: usize) -> Result<Block, ParseError> {
    let mut parser = Parser { lexer: Lexer::new(source), ahead: VecDeque::new(), program, depth, raw: None };
    let block = parser.block()?;
    parser.require(Kind::EndOfTemplate)?;
    Ok(block)
}

struct Parser<'p> {
    lexer: Lexer,
    ahead: VecDeque<Token>,
    program: &'p mut Program,
    depth: usize,
    /// Collects token images while a literal text is wanted.
    raw: Option<String>,
}

impl Parser<'_> {
    fn peek(&mut self, n: usize) -> Result<Kind, ParseError> {
        while self.ahead.len() <= n {
            let token = self.lexer.next_token()?;
            self.ahead.push_back(token);
        }
        Ok(self.ahead.get(n).map_or(Kind::EndOfTemplate, |token| token.kind))
    }

    fn next(&mut self) -> Result<Token, ParseError> {
        let token = match self.ahead.pop_front() {
            Some(token) => token,
            None => self.lexer.next_token()?,
        };
        if let Some(raw) = &mut self.raw {
            raw.push_str(&token.image);
        }
        Ok(token)
    }

    fn require(&mut self, kind: Kind) -> Result<Token, ParseError> {
        let token = self.next()?;
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(&token)) }
    }

    fn skip(&mut self, kind: Kind) -> Result<bool, ParseError> {
        let found = self.peek(0)? == kind;
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn unexpected(&self, token: &Token) -> ParseError {
        let what = if token.kind == Kind::EndOfTemplate {
            "end of template".to_owned()
        } else {
            format!("\"{}\"", token.image)
        };
        self.lexer.error_at(token.start, format!("unexpected {what}"))
    }

    fn fail<T>(&self, token: &Token, message: &str) -> Result<T, ParseError> {
        Err(self.lexer.error_at(token.start, message))
    }

    /// Runs a rule one level deeper.
    fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth >= limits::SYNTAX_DEPTH_MAX {
            let token = self.next()?;
            return self.fail(&token, "nested too deeply");
        }
        self.depth += 1;
        let result = rule(self);
        self.depth -= 1;
        result
    }

    /// Statements up to a token that begins none.
    fn block(&mut self) -> Result<Block, ParseError> {
        self.nested(|parser| {
            let mut block = Block::new();
            while let Some(node) = parser.statement()? {
                match (node, block.last_mut()) {
                    (Node::Text(text), Some(Node::Text(last))) => last.push_str(&text),
                    (Node::Text(text), _) if text.is_empty() => {}
                    (node, _) => block.push(node),
                }
            }
            Ok(block)
        })
    }

    fn keep(&mut self, block: Block) -> usize {
        self.program.blocks.push(block);
        self.program.blocks.len() - 1
    }

    fn statement(&mut self) -> Result<Option<Node>, ParseError> {
        let node = match self.peek(0)? {
            Kind::If => self.if_statement()?,
            Kind::Identifier => {
                self.peek(1)?;
                Node::Reference(self.reference()?)
            }
            Kind::LeftCurly if self.peek(1)? == Kind::Identifier => Node::Reference(self.reference()?),
            Kind::LineCommentStart => {
                let token = self.next()?;
                self.skip(Kind::LineComment)?;
                Node::Text(token.image.split("##").next().unwrap_or_default().to_owned())
            }
            Kind::BlockComment | Kind::FormalComment => {
                self.next()?;
                Node::Text(String::new())
            }
            Kind::TextBlock => {
                let image = self.next()?.image;
                let text = image.get(3..image.len().saturating_sub(3)).unwrap_or_default();
                Node::Text(text.to_owned())
            }
            Kind::Set => self.set_statement()?,
            Kind::EscapeDirective => Node::Text(self.escaped_directive()?),
            Kind::DoubleEscape => Node::Text(self.double_escapes()?),
            Kind::Word | Kind::BracketedWord => self.directive()?,
            Kind::Text
            | Kind::Dot
            | Kind::RightParen
            | Kind::LeftParen
            | Kind::Integer
            | Kind::Float
            | Kind::StringLiteral
            | Kind::Escape
            | Kind::LeftCurly
            | Kind::RightCurly
            | Kind::EmptyIndex => {
                let token = self.next()?;
                Node::Text(token.special + &token.image)
            }
            _ => return Ok(None),
        };
        Ok(Some(node))
    }

    fn if_statement(&mut self) -> Result<Node, ParseError> {
        let mut arms = Vec::new();
        self.next()?;
        loop {
            self.skip(Kind::Whitespace)?;
            self.require(Kind::LeftParen)?;
            let condition = self.expression()?;
            self.require(Kind::RightParen)?;
            arms.push((condition, self.block()?));
            if !self.skip(Kind::ElseIf)? {
                break;
            }
        }
        let otherwise = if self.skip(Kind::Else)? { self.block()? } else { Block::new() };
        self.require(Kind::End)?;
        Ok(Node::If { arms, otherwise })
    }

    fn set_statement(&mut self) -> Result<Node, ParseError> {
        self.next()?;
        self.skip(Kind::Whitespace)?;
        let target = self.reference()?;
        self.skip(Kind::Whitespace)?;
        self.require(Kind::Assign)?;
        let value = self.expression()?;
        self.require(Kind::RightParen)?;
        self.lexer.in_set = false;
        Ok(Node::Set { target, value })
    }

    /// `\#if`: printed with half its backslashes when it is a directive, else as it is.
    fn escaped_directive(&mut self) -> Result<String, ParseError> {
        let image = self.next()?.image;
        let last = image.rfind('\\').unwrap_or(0);
        let (slashes, name) = image.split_at((last + 1).min(image.len()));
        let bare = name.trim_start_matches('#').trim_start_matches('{').trim_end_matches('}');
        let control = matches!(bare, "if" | "end" | "set" | "else" | "elseif");
        if !control && !directive::is_known(bare) && !self.program.macros.iter().any(|m| m.name == bare) {
            return Ok(image);
        }
        Ok(slashes.get(..last / 2).unwrap_or_default().to_owned() + name)
    }

    /// Doubled backslashes stand for one in front of a directive, for themselves elsewhere.
    fn double_escapes(&mut self) -> Result<String, ParseError> {
        let mut count = 0;
        while self.skip(Kind::DoubleEscape)? {
            count += 1;
        }
        let control = match self.peek(0)? {
            Kind::If | Kind::Else | Kind::ElseIf | Kind::End => true,
            _ => self.ahead.front().and_then(|token| token.image.get(1..)).is_some_and(directive::is_known),
        };
        Ok(if control { "\\" } else { "\\\\" }.repeat(count))
    }

    /// The text of a string literal, or the block that renders it.
    fn string_literal(&mut self) -> Result<Expr, ParseError> {
        let token = self.next()?;
        // A reference may have swallowed text in front of the quote; only the quoted part is the literal.
        let image = token.image.as_str();
        let quote = image.chars().next().unwrap_or('"');
        let inner = image.get(1..image.len().saturating_sub(1)).unwrap_or_default();
        let interpolate = quote == '"' && image.contains(['$', '#']);
        let text = if quote == '"' { unescape(inner) } else { inner.to_owned() };
        let text = text.replace(&format!("{quote}{quote}"), &quote.to_string());
        if !interpolate {
            return Ok(Expr::Text(text));
        }
        // The lexer needs a character behind a reference; a line comment would swallow it.
        let trim = !text.contains("##");
        let source = if trim { text + " " } else { text };
        if self.depth >= limits::SYNTAX_DEPTH_MAX {
            return self.fail(&token, "nested too deeply");
        }
        let block = match parse_into(&source, self.program, self.depth + 1) {
            Ok(block) => block,
            Err(inner) => return self.fail(&token, &format!("in this string: {}", inner.message)),
        };
        let block = self.keep(block);
        Ok(Expr::Interpolated { block, trim })
    }
}

/// Decodes `\u` with four hexadecimal digits, the only escape that Velocity decodes in a string.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\u") {
        out.push_str(before);
        let code = after.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        match code {
            Some(c) => {
                out.push(c);
                rest = after.get(4..).unwrap_or_default();
            }
            None => {
                out.push_str("\\u");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
