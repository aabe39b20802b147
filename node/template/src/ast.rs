//! The compiled template. Owns the tree's shape; must never evaluate anything.

use std::ops::Range;

/// Statements in order.
pub(crate) type Block = Vec<Node>;

/// One statement.
#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    Reference(Reference),
    Set {
        target: Reference,
        value: Expr,
    },
    If {
        arms: Vec<(Expr, Block)>,
        otherwise: Block,
    },
    Foreach {
        variable: String,
        over: Expr,
        body: Block,
    },
    Define {
        name: String,
        body: usize,
    },
    Call(Call),
    Evaluate(Expr),
    /// `#parse` and `#include`: there is nothing to load.
    Load {
        directive: &'static str,
        name: Expr,
    },
    Break(Option<Expr>),
    Stop,
}

/// A macro call, or text that looks like one.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// Where the arguments stand in [`Program::exprs`].
    pub(crate) args: Range<usize>,
    /// A bare word among the arguments makes a call of an existing macro an error.
    pub(crate) bare_word: bool,
    /// Printed when no macro has this name.
    pub(crate) literal: String,
    /// Index of the block of `#@name() … #end`.
    pub(crate) body: Option<usize>,
}

/// `#macro(name $parameters…) … #end`.
#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) name: String,
    pub(crate) parameters: Vec<String>,
    pub(crate) body: usize,
}

/// `$name.property.method(args)[index]`, with everything that decides how it prints.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) form: Form,
    /// Printed before the value: half the backslashes, then what ran into the dollar sign.
    pub(crate) prefix: String,
    pub(crate) root: String,
    pub(crate) parts: Vec<Part>,
    /// The source text.
    pub(crate) literal: String,
}

/// How a reference prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The value.
    Live,
    /// The source text: the reference is escaped.
    Escaped,
    /// The source text: no reference at all, the lexer was fooled.
    Plain,
}

/// A step from one value to the next.
#[derive(Debug)]
pub(crate) enum Part {
    Property(String),
    Method { name: String, args: Vec<Expr> },
    Index(Expr),
}

/// An expression.
#[derive(Debug)]
pub(crate) enum Expr {
    Text(String),
    /// A double-quoted string with references or directives in it.
    Interpolated {
        block: usize,
        trim: bool,
    },
    Integer(String),
    Float(String),
    Bool(bool),
    /// A bare word in an argument list.
    Word(String),
    Reference(Box<Reference>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Range(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// Operators of one precedence, from left to right; flat so that a long sum is not a deep tree.
    Chain(Box<Self>, Vec<(Operator, Self)>),
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulus,
}

/// A parsed source with its blocks that outlive the statement they stand in.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) main: Block,
    /// Bodies of macros, defines, block calls and interpolated strings.
    pub(crate) blocks: Vec<Block>,
    /// Arguments of macro calls, which outlive the call.
    pub(crate) exprs: Vec<Expr>,
    /// In source order; the first of a name wins.
    pub(crate) macros: Vec<Macro>,
}
