//! Grammar of directives by name: `#foreach`, `#macro`, `#define`, calls. Owns their argument rules.

use super::Parser;
use crate::ParseError;
use crate::ast::{Call, Expr, Form, Macro, Node};
use crate::lexer::{Kind, State, Token};

/// Directives that Velocity 1.7 looks up by name.
pub(super) fn is_known(name: &str) -> bool {
    matches!(
        name,
        "foreach" | "include" | "parse" | "macro" | "literal" | "evaluate" | "break" | "stop" | "define"
    )
}

impl Parser<'_> {
    /// `#name`, with arguments when a parenthesis follows, with a block when the name takes one.
    pub(super) fn directive(&mut self) -> Result<Node, ParseError> {
        let token = self.next()?;
        let name = match token.kind {
            Kind::BracketedWord => token.image.get(2..token.image.len().saturating_sub(1)),
            _ => token.image.get(1..),
        };
        let name = name.unwrap_or_default().to_owned();
        self.lexer.switch_to(State::Directive);
        if !self.lexer.left_paren_follows() {
            self.lexer.pop();
            return self.bare_directive(&token, name);
        }
        let outer = self.raw.replace(String::new());
        let args = self.directive_arguments(&name, &token);
        let mut literal = self.raw.take().unwrap_or_default();
        let args = args?;
        let is_block =
            name.starts_with('@') || matches!(name.as_str(), "foreach" | "macro" | "literal" | "define");
        let node = if is_block {
            self.raw = Some(String::new());
            let block = self.block();
            let body = self.raw.take().unwrap_or_default();
            let block = block?;
            let end = self.require(Kind::End)?;
            literal = literal + &body + &end.image;
            let call_text = format!("{}{literal}", token.image);
            self.block_directive(&token, &name, args, block, body, call_text)?
        } else {
            self.line_directive(&token, name, args, format!("{}{literal}", token.image))?
        };
        self.raw = outer.map(|outer| outer + &literal);
        Ok(node)
    }

    fn bare_directive(&self, token: &Token, name: String) -> Result<Node, ParseError> {
        match name.as_str() {
            "break" => Ok(Node::Break(None)),
            "stop" => Ok(Node::Stop),
            "include" => Ok(Node::Text(String::new())),
            _ if is_known(&name) => self.fail(token, "this directive needs arguments"),
            _ if name.starts_with('@') => Ok(Node::Text(format!("#{name}"))),
            _ => Ok(Node::Call(Call {
                name,
                args: 0..0,
                bare_word: false,
                literal: token.image.clone(),
                body: None,
            })),
        }
    }

    fn directive_arguments(&mut self, name: &str, token: &Token) -> Result<Vec<Expr>, ParseError> {
        self.skip(Kind::Whitespace)?;
        self.require(Kind::LeftParen)?;
        let mut args = Vec::new();
        loop {
            let blank = usize::from(self.peek(0)? == Kind::Whitespace);
            if self.peek(blank)? == Kind::RightParen {
                break;
            }
            self.skip(Kind::Whitespace)?;
            if self.skip(Kind::Comma)? {
                self.skip(Kind::Whitespace)?;
            }
            let arg =
                if self.peek(0)? == Kind::Word { Expr::Word(self.next()?.image) } else { self.primary()? };
            let bare = matches!(arg, Expr::Word(_));
            let wrong = match (name, args.len()) {
                ("macro", 0) => !bare,
                ("foreach", 1) => false,
                _ => bare && is_known(name),
            };
            if wrong {
                return self.fail(token, &format!("invalid argument {} of #{name}", args.len()));
            }
            args.push(arg);
        }
        self.skip(Kind::Whitespace)?;
        self.require(Kind::RightParen)?;
        Ok(args)
    }

    fn line_directive(
        &mut self,
        token: &Token,
        name: String,
        args: Vec<Expr>,
        literal: String,
    ) -> Result<Node, ParseError> {
        let mut given = args.into_iter();
        match name.as_str() {
            "break" => {
                let scope = given.next();
                if given.next().is_some() {
                    self.fail(token, "#break takes one scope")
                } else {
                    Ok(Node::Break(scope))
                }
            }
            "stop" if given.len() <= 1 => Ok(Node::Stop),
            "stop" => self.fail(token, "#stop takes one message"),
            "include" if given.len() == 0 => Ok(Node::Text(String::new())),
            "evaluate" | "parse" | "include" => {
                let (Some(arg), None) = (given.next(), given.next()) else {
                    return self.fail(token, "this directive takes one argument");
                };
                Ok(match name.as_str() {
                    "evaluate" => Node::Evaluate(arg),
                    "parse" => Node::Load { directive: "#parse", name: arg },
                    _ => Node::Load { directive: "#include", name: arg },
                })
            }
            _ => Ok(self.call(name, given.collect(), literal, None)),
        }
    }

    /// Arguments are kept apart because macros evaluate them by name, in the caller's scope.
    fn call(&mut self, name: String, args: Vec<Expr>, literal: String, body: Option<usize>) -> Node {
        let bare_word = args.iter().any(|arg| matches!(arg, Expr::Word(_)));
        let first = self.program.exprs.len();
        self.program.exprs.extend(args);
        Node::Call(Call { name, args: first..self.program.exprs.len(), bare_word, literal, body })
    }

    fn block_directive(
        &mut self,
        token: &Token,
        name: &str,
        args: Vec<Expr>,
        block: Vec<Node>,
        source: String,
        literal: String,
    ) -> Result<Node, ParseError> {
        let mut given = args.into_iter();
        match name {
            "foreach" => {
                let (Some(variable), Some(_)) = (given.next(), given.next()) else {
                    return self.fail(token, "#foreach needs a reference, \"in\" and a list");
                };
                // Velocity counts arguments: without a third there is nothing to loop over.
                Ok(match given.next() {
                    Some(over) => Node::Foreach { variable: variable_name(&variable), over, body: block },
                    None => Node::Text(String::new()),
                })
            }
            "macro" => {
                let Some(Expr::Word(name)) = given.next() else {
                    return self.fail(token, "the first argument of #macro is its name");
                };
                let parameters = given.map(|arg| variable_name(&arg)).collect();
                let body = self.keep(block);
                if !self.program.macros.iter().any(|earlier| earlier.name == name) {
                    self.program.macros.push(Macro { name, parameters, body });
                }
                Ok(Node::Text(String::new()))
            }
            "define" => match (given.next(), given.next()) {
                (Some(Expr::Reference(reference)), None) => {
                    let body = self.keep(block);
                    Ok(Node::Define { name: reference.root, body })
                }
                _ => self.fail(token, "#define takes one reference"),
            },
            "literal" => Ok(Node::Text(source)),
            _ => {
                let name = name.trim_start_matches('@').to_owned();
                let body = Some(self.keep(block));
                Ok(self.call(name, given.collect(), literal, body))
            }
        }
    }
}

fn variable_name(arg: &Expr) -> String {
    match arg {
        Expr::Reference(reference) if reference.form != Form::Plain => reference.root.clone(),
        Expr::Reference(reference) => reference.literal.clone(),
        Expr::Word(word) => word.clone(),
        Expr::Text(text) | Expr::Integer(text) | Expr::Float(text) => text.clone(),
        _ => String::new(),
    }
}
