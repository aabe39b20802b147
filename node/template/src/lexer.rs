//! The token manager: Velocity 1.7's lexical states, longest match first. Owns where one token ends and the next begins; must never know what they mean.
//!
//! Velocity's lexer is full of accidents that templates rely on (a `#set` inside a reference returns to the reference, `#else` eats
//! its newline), so this is a state machine of the same shape rather than a simpler grammar that agrees most of the time.

mod scan;

use crate::ParseError;
use scan::{Class, Match};

/// Token kinds, by Velocity's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    IndexLeft,
    IndexRight,
    LeftBracket,
    RightBracket,
    Comma,
    DoubleDot,
    Colon,
    LeftCurley,
    RightCurley,
    LeftParen,
    RightParen,
    MethodRightParen,
    EscapeDirective,
    Set,
    LineCommentStart,
    LineComment,
    FormalComment,
    BlockComment,
    TextBlock,
    DoubleEscape,
    Escape,
    Text,
    Whitespace,
    StringLiteral,
    True,
    False,
    Minus,
    Plus,
    Multiply,
    Divide,
    Modulus,
    And,
    Or,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    Not,
    Assign,
    End,
    If,
    ElseIf,
    Else,
    Integer,
    Float,
    Word,
    BracketedWord,
    Identifier,
    Dot,
    LeftCurly,
    RightCurly,
    EmptyIndex,
    ReferenceTerminator,
    DirectiveTerminator,
    Dollar,
    TextBlockStart,
    FormalCommentStart,
    BlockCommentStart,
    Hash,
    Any,
    EndOfTemplate,
}

/// Lexical states, by Velocity's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Default,
    Reference,
    RefModifier,
    RefMod2,
    RefIndex,
    Directive,
    PreDirective,
    LineComment,
    FormalComment,
    BlockComment,
    TextBlock,
}

/// One token; `image` includes what accumulated before it, `special` what earlier terminators left to print.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) image: String,
    pub(crate) special: String,
    /// Offset of the first character.
    pub(crate) start: usize,
}

#[derive(Clone, Copy)]
struct Saved {
    lparen: usize,
    rparen: usize,
    state: State,
}

/// Hands out tokens one at a time; the parser may switch its state between two of them, as Velocity's does.
pub(crate) struct Lexer {
    chars: Vec<char>,
    pos: usize,
    state: State,
    stack: Vec<Saved>,
    lparen: usize,
    rparen: usize,
    in_comment: bool,
    pub(crate) in_set: bool,
}

impl Lexer {
    pub(crate) fn new(source: &str) -> Self {
        Self {
            chars: source.chars().collect(),
            pos: 0,
            state: State::Default,
            stack: Vec::new(),
            lparen: 0,
            rparen: 0,
            in_comment: false,
            in_set: false,
        }
    }

    /// The next token, or a lexical error with its place.
    pub(crate) fn next_token(&mut self) -> Result<Token, ParseError> {
        let mut special = String::new();
        'token: loop {
            let start = self.pos;
            if start >= self.chars.len() {
                return Ok(Token { kind: Kind::EndOfTemplate, image: String::new(), special, start });
            }
            loop {
                let Some(Match { kind, length, class }) = scan::longest(&self.chars, self.pos, self.state)
                else {
                    return Err(self.error_at(self.pos, "unexpected character"));
                };
                self.pos += length;
                match class {
                    Class::Token => {
                        let mut image = self.image(start);
                        self.token_action(kind, &mut image);
                        return Ok(Token { kind, image, special, start });
                    }
                    Class::Special => {
                        special.push_str(&special_text(&self.image(start)));
                        self.pos -= 1;
                        self.pop();
                        continue 'token;
                    }
                    Class::Skip => continue 'token,
                    Class::More => self.more_action(kind),
                }
                if self.pos >= self.chars.len() {
                    return Err(self.error_at(start, "unexpected end of template"));
                }
            }
        }
    }

    /// True when only blanks stand between here and an opening parenthesis.
    pub(crate) fn left_paren_follows(&self) -> bool {
        let rest = self.chars.get(self.pos..).unwrap_or_default();
        rest.iter().find(|c| !matches!(c, ' ' | '\n' | '\r' | '\t')) == Some(&'(')
    }

    pub(crate) fn switch_to(&mut self, state: State) {
        self.state = state;
    }

    /// Back to the state below; an empty stack is the default state.
    pub(crate) fn pop(&mut self) -> bool {
        match self.stack.pop() {
            Some(saved) => {
                self.lparen = saved.lparen;
                self.rparen = saved.rparen;
                self.state = saved.state;
                true
            }
            None => {
                self.lparen = 0;
                self.state = State::Default;
                false
            }
        }
    }

    pub(crate) fn error_at(&self, offset: usize, message: impl Into<String>) -> ParseError {
        let before = self.chars.get(..offset.min(self.chars.len())).unwrap_or_default();
        let line = 1 + before.iter().filter(|c| **c == '\n').count();
        let column = 1 + before.iter().rev().take_while(|c| **c != '\n').count();
        ParseError { line, column, message: message.into() }
    }

    fn image(&self, start: usize) -> String {
        self.chars.get(start..self.pos).unwrap_or_default().iter().collect()
    }

    fn push(&mut self) {
        self.stack.push(Saved { lparen: self.lparen, rparen: self.rparen, state: self.state });
        self.lparen = 0;
    }

    fn push_to(&mut self, state: State) {
        self.push();
        self.state = state;
    }

    fn more_action(&mut self, kind: Kind) {
        if kind == Kind::FormalCommentStart && !self.in_comment {
            self.pos -= 1;
        }
        if self.in_comment || kind == Kind::Any {
            return;
        }
        match kind {
            Kind::Dollar => {
                if self.state == State::Reference {
                    self.pop();
                }
                self.push_to(State::Reference);
            }
            Kind::Hash => {
                if matches!(self.state, State::Reference | State::RefModifier) {
                    self.pop();
                }
                self.push_to(State::PreDirective);
            }
            _ => {
                self.in_comment = true;
                self.push_to(match kind {
                    Kind::TextBlockStart => State::TextBlock,
                    Kind::FormalCommentStart => State::FormalComment,
                    _ => State::BlockComment,
                });
            }
        }
    }

    fn token_action(&mut self, kind: Kind, image: &mut String) {
        match kind {
            Kind::IndexLeft => self.push_to(State::RefIndex),
            Kind::LeftParen => {
                self.lparen += 1;
                if self.state == State::RefModifier {
                    self.state = State::RefMod2;
                }
            }
            Kind::RightParen => self.close_paren(),
            Kind::MethodRightParen => self.state = State::Reference,
            Kind::Set if !self.in_comment => {
                self.push_to(State::Directive);
                self.in_set = true;
                self.lparen += 1;
            }
            Kind::LineCommentStart if !self.in_comment => {
                if self.state == State::Reference {
                    self.pop();
                }
                self.in_comment = true;
                self.push_to(State::LineComment);
            }
            Kind::LineComment | Kind::FormalComment | Kind::BlockComment | Kind::TextBlock => {
                self.in_comment = false;
                self.pop();
            }
            Kind::StringLiteral if self.state == State::Directive && !self.in_set && self.lparen == 0 => {
                self.pop();
            }
            Kind::If | Kind::ElseIf => self.state = State::Directive,
            Kind::Integer | Kind::Float => self.end_of_number(kind, image),
            Kind::Dot => {
                self.pos -= 1;
                ".".clone_into(image);
                self.state = State::RefModifier;
            }
            Kind::IndexRight | Kind::End | Kind::Else | Kind::RightCurly => {
                self.pop();
            }
            _ => {}
        }
    }

    fn end_of_number(&mut self, kind: Kind, image: &mut String) {
        if kind == Kind::Integer && image.ends_with("..") {
            self.pos -= 2;
            image.truncate(image.len() - 2);
        }
        let indexed = kind == Kind::Integer && self.state == State::RefIndex;
        if self.lparen == 0 && !self.in_set && self.state != State::RefMod2 && !indexed {
            self.pop();
        }
    }

    /// Drops to the state that holds the parenthesis which this one closes.
    fn close_paren(&mut self) {
        if self.in_comment {
            return;
        }
        loop {
            if self.lparen > 0 {
                if self.lparen == self.rparen + 1 {
                    self.pop();
                } else {
                    self.rparen += 1;
                }
                return;
            }
            if !self.pop() {
                return;
            }
        }
    }
}

/// What a terminated beginning (`$`, `#`, `\$`) prints after all; the terminator itself is read again.
fn special_text(image: &str) -> String {
    let chars: Vec<char> = image.chars().collect();
    let mut out = String::new();
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        if c == '#' || c == '$' {
            out.push(c);
        }
        if c == '\\' {
            let slashes = chars.iter().skip(i).take_while(|c| **c == '\\').count();
            if chars.get(i + slashes) == Some(&'$') {
                out.extend(chars.iter().skip(i).take(slashes + 1));
                i += slashes + 1;
            }
        }
        i += 1;
    }
    out
}
