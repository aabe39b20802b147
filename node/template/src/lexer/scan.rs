//! Which token matches at a place. Owns one matcher per token and the order that decides between equally long ones; must never change lexer state.

use super::{Kind, State};

/// What happens to a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Token,
    /// Part of the token that follows.
    More,
    /// Forgotten.
    Skip,
    /// Ends a reference or directive; read again in the state below.
    Special,
}

/// The longest match at a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    pub(super) kind: Kind,
    pub(super) length: usize,
    pub(super) class: Class,
}

/// The longest match; among equals the first in Velocity's grammar.
pub(super) fn longest(chars: &[char], pos: usize, state: State) -> Option<Match> {
    let rest = chars.get(pos..)?;
    let mut best = Best { rest, found: None };
    match state {
        State::Default => default_state(&mut best),
        State::Reference | State::RefModifier => reference_state(&mut best, state),
        State::RefMod2 => method_state(&mut best),
        State::RefIndex => index_state(&mut best),
        State::Directive => directive_state(&mut best),
        State::PreDirective => pre_directive_state(&mut best),
        State::LineComment | State::FormalComment | State::BlockComment | State::TextBlock => {
            comment_state(&mut best, state)
        }
    }
    best.found
}

struct Best<'c> {
    rest: &'c [char],
    found: Option<Match>,
}

impl Best<'_> {
    fn offer(&mut self, kind: Kind, length: usize, class: Class) {
        if length > 0 && self.found.is_none_or(|found| length > found.length) {
            self.found = Some(Match { kind, length, class });
        }
    }

    fn token(&mut self, kind: Kind, length: usize) {
        self.offer(kind, length, Class::Token);
    }

    fn literal(&mut self, kind: Kind, text: &str) {
        self.token(kind, starts(self.rest, text));
    }

    fn literals(&mut self, table: &[(Kind, &str)]) {
        for (kind, text) in table {
            self.literal(*kind, text);
        }
    }

    fn line_comment(&mut self) {
        self.literal(Kind::LineCommentStart, "##");
    }

    /// The beginnings that every state knows.
    fn everywhere(&mut self) {
        self.offer(Kind::Dollar, dollar(self.rest), Class::More);
        self.offer(Kind::TextBlockStart, starts(self.rest, "#[["), Class::More);
        let formal =
            if starts(self.rest, "#**") > 0 && self.rest.get(3).is_some_and(|c| *c != '#') { 4 } else { 0 };
        self.offer(Kind::FormalCommentStart, formal, Class::More);
        self.offer(Kind::BlockCommentStart, starts(self.rest, "#*"), Class::More);
        self.offer(Kind::Hash, starts(self.rest, "#"), Class::More);
    }

    fn whitespace_and_strings(&mut self) {
        self.token(Kind::Whitespace, count(self.rest, |c| matches!(c, ' ' | '\t' | '\n' | '\r')));
        self.token(Kind::StringLiteral, string_literal(self.rest));
        self.literals(&[(Kind::True, "true"), (Kind::False, "false")]);
    }

    fn numbers(&mut self) {
        self.token(Kind::Integer, integer(self.rest));
        self.token(Kind::Float, float(self.rest));
    }

    fn identifier_and_dot(&mut self) {
        self.token(Kind::Identifier, identifier(self.rest));
        if matches!(self.rest, ['.', c, ..] if c.is_ascii_alphabetic()) {
            self.token(Kind::Dot, 2);
        }
    }
}

fn default_state(best: &mut Best<'_>) {
    best.token(Kind::EscapeDirective, escape_directive(best.rest));
    best.token(Kind::Set, set(best.rest));
    best.everywhere();
    best.line_comment();
    best.literals(&[(Kind::DoubleEscape, "\\\\"), (Kind::Escape, "\\")]);
    best.token(Kind::Text, count(best.rest, |c| !matches!(c, '$' | '#' | '\\')));
    best.literals(&EMPTY_INDEX);
}

/// Beginnings that look like a reference and are text.
const EMPTY_INDEX: [(Kind, &str); 4] = [
    (Kind::EmptyIndex, "$["),
    (Kind::EmptyIndex, "$!["),
    (Kind::EmptyIndex, "$\\!["),
    (Kind::EmptyIndex, "$."),
];

fn reference_state(best: &mut Best<'_>, state: State) {
    best.literal(Kind::IndexLeft, "[");
    if state == State::RefModifier {
        best.literal(Kind::LeftParen, "(");
    }
    best.token(Kind::Set, set(best.rest));
    best.everywhere();
    // Behind a property there is no comment: `$a.b##` prints its hashes.
    if state == State::Reference {
        best.line_comment();
    }
    best.literals(&[(Kind::True, "true"), (Kind::False, "false")]);
    best.identifier_and_dot();
    best.literals(&[(Kind::LeftCurly, "{"), (Kind::RightCurly, "}")]);
    best.offer(Kind::ReferenceTerminator, 1, Class::Special);
    if state == State::Reference {
        best.literals(&EMPTY_INDEX);
    }
}

fn brackets(best: &mut Best<'_>) {
    best.literals(&[
        (Kind::LeftBracket, "["),
        (Kind::RightBracket, "]"),
        (Kind::Comma, ","),
        (Kind::DoubleDot, ".."),
        (Kind::Colon, ":"),
        (Kind::LeftCurley, "{"),
        (Kind::RightCurley, "}"),
    ]);
}

fn method_state(best: &mut Best<'_>) {
    brackets(best);
    best.literal(Kind::MethodRightParen, ")");
    best.token(Kind::Set, set(best.rest));
    best.everywhere();
    best.line_comment();
    best.whitespace_and_strings();
    best.numbers();
    best.identifier_and_dot();
}

fn index_state(best: &mut Best<'_>) {
    best.literal(Kind::IndexRight, "]");
    best.everywhere();
    best.line_comment();
    best.whitespace_and_strings();
    best.numbers();
}

fn directive_state(best: &mut Best<'_>) {
    brackets(best);
    best.literal(Kind::LeftParen, "(");
    if best.rest.first() == Some(&')') {
        best.token(Kind::RightParen, with_newline(best.rest, 1));
    }
    best.everywhere();
    best.line_comment();
    best.whitespace_and_strings();
    best.literals(&[
        (Kind::Minus, "-"),
        (Kind::Plus, "+"),
        (Kind::Multiply, "*"),
        (Kind::Divide, "/"),
        (Kind::Modulus, "%"),
        (Kind::And, "&&"),
        (Kind::And, "and"),
        (Kind::Or, "||"),
        (Kind::Or, "or"),
        (Kind::Less, "<"),
        (Kind::Less, "lt"),
        (Kind::LessEqual, "<="),
        (Kind::LessEqual, "le"),
        (Kind::Greater, ">"),
        (Kind::Greater, "gt"),
        (Kind::GreaterEqual, ">="),
        (Kind::GreaterEqual, "ge"),
        (Kind::Equal, "=="),
        (Kind::Equal, "eq"),
        (Kind::NotEqual, "!="),
        (Kind::NotEqual, "ne"),
        (Kind::Not, "!"),
        (Kind::Not, "not"),
        (Kind::Assign, "="),
    ]);
    best.numbers();
    words(best);
}

fn pre_directive_state(best: &mut Best<'_>) {
    best.everywhere();
    best.line_comment();
    for (kind, bare, bracketed, newline) in [
        (Kind::End, "end", "{end}", true),
        (Kind::If, "if", "{if}", false),
        (Kind::ElseIf, "elseif", "{elseif}", false),
        (Kind::Else, "else", "{else}", true),
    ] {
        for text in [bare, bracketed] {
            let length = starts(best.rest, text);
            best.token(kind, if newline && length > 0 { with_newline(best.rest, length) } else { length });
        }
    }
    best.numbers();
    words(best);
    best.offer(Kind::DirectiveTerminator, 1, Class::Special);
}

fn comment_state(best: &mut Best<'_>, state: State) {
    best.everywhere();
    match state {
        State::LineComment => {
            best.literals(&[
                (Kind::LineComment, "\n"),
                (Kind::LineComment, "\r\n"),
                (Kind::LineComment, "\r"),
            ]);
        }
        State::FormalComment => best.literal(Kind::FormalComment, "*#"),
        State::BlockComment => best.literal(Kind::BlockComment, "*#"),
        _ => best.literal(Kind::TextBlock, "]]#"),
    }
    let class = if state == State::TextBlock { Class::More } else { Class::Skip };
    best.offer(Kind::Any, 1, class);
}

fn words(best: &mut Best<'_>) {
    best.token(Kind::Word, word(best.rest));
    best.token(Kind::BracketedWord, bracketed_word(best.rest));
}

fn starts(rest: &[char], text: &str) -> usize {
    let length = text.len();
    if rest.len() >= length && rest.iter().zip(text.chars()).all(|(a, b)| *a == b) { length } else { 0 }
}

fn count(rest: &[char], accept: impl Fn(char) -> bool) -> usize {
    rest.iter().take_while(|c| accept(**c)).count()
}

fn at(rest: &[char], pos: usize) -> &[char] {
    rest.get(pos..).unwrap_or_default()
}

/// `\*$`, `\*$\*!`: backslashes belong to the reference they may escape.
fn dollar(rest: &[char]) -> usize {
    let slashes = count(rest, |c| c == '\\');
    if rest.get(slashes) != Some(&'$') {
        return 0;
    }
    let inner = count(at(rest, slashes + 1), |c| c == '\\');
    if rest.get(slashes + 1 + inner) == Some(&'!') { slashes + inner + 2 } else { slashes + 1 }
}

fn set(rest: &[char]) -> usize {
    let blanks = count(rest, |c| matches!(c, ' ' | '\t'));
    let name = starts(at(rest, blanks), "#set").max(starts(at(rest, blanks), "#{set}"));
    let after = blanks + name + count(at(rest, blanks + name), |c| c == ' ');
    if name > 0 && rest.get(after) == Some(&'(') { after + 1 } else { 0 }
}

fn escape_directive(rest: &[char]) -> usize {
    let slashes = count(rest, |c| c == '\\');
    if slashes % 2 == 0 || rest.get(slashes) != Some(&'#') {
        return 0;
    }
    let name = at(rest, slashes + 1);
    match word(name).max(bracketed_word(name)) {
        0 => 0,
        length => slashes + 1 + length,
    }
}

fn word(rest: &[char]) -> usize {
    match rest.first() {
        Some(c) if c.is_ascii_alphabetic() || matches!(c, '_' | '@') => {
            count(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '@'))
        }
        _ => 0,
    }
}

fn bracketed_word(rest: &[char]) -> usize {
    let Some(('{', inner)) = rest.split_first() else { return 0 };
    let length = if inner.first() == Some(&'@') { 0 } else { word(inner) };
    if length > 0 && inner.get(length) == Some(&'}') { length + 2 } else { 0 }
}

fn identifier(rest: &[char]) -> usize {
    match rest.first() {
        Some(c) if c.is_ascii_alphabetic() || *c == '_' => {
            count(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        }
        _ => 0,
    }
}

/// `length` plus the blanks and the newline behind it, if there is one.
fn with_newline(rest: &[char], length: usize) -> usize {
    let blanks = length + count(at(rest, length), |c| matches!(c, ' ' | '\t'));
    match at(rest, blanks) {
        ['\r', '\n', ..] => blanks + 2,
        ['\n' | '\r', ..] => blanks + 1,
        _ => length,
    }
}

fn integer(rest: &[char]) -> usize {
    let sign = usize::from(rest.first() == Some(&'-'));
    let digits = count(at(rest, sign), |c| c.is_ascii_digit());
    if digits == 0 {
        return 0;
    }
    let end = sign + digits;
    if at(rest, end).starts_with(&['.', '.']) { end + 2 } else { end }
}

fn float(rest: &[char]) -> usize {
    let sign = usize::from(rest.first() == Some(&'-'));
    let whole = count(at(rest, sign), |c| c.is_ascii_digit());
    let mut end = sign + whole;
    let mut fraction = 0;
    let dotted = rest.get(end) == Some(&'.');
    if dotted {
        fraction = count(at(rest, end + 1), |c| c.is_ascii_digit());
        end += 1 + fraction;
    }
    let exponent = exponent(at(rest, end));
    let valid = if dotted { whole > 0 || fraction > 0 } else { whole > 0 && exponent > 0 };
    if valid { end + exponent } else { 0 }
}

fn exponent(rest: &[char]) -> usize {
    if !matches!(rest.first(), Some('e' | 'E')) {
        return 0;
    }
    let sign = usize::from(matches!(rest.get(1), Some('+' | '-')));
    match count(at(rest, 1 + sign), |c| c.is_ascii_digit()) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

/// The longest string literal: a doubled quote continues it, a backslash does not hide one.
fn string_literal(rest: &[char]) -> usize {
    let Some((&quote, inner)) = rest.split_first() else { return 0 };
    if quote != '"' && quote != '\'' {
        return 0;
    }
    let mut length = 0;
    let mut chars = inner.iter().enumerate().peekable();
    while let Some((i, c)) = chars.next() {
        if *c == quote {
            length = i + 2;
            if chars.next_if(|(_, next)| **next == quote).is_none() {
                break;
            }
        }
    }
    length
}
