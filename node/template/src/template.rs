//! The public face: compile once, render many times. Owns the types at the seam; must never hold state between two renderings.

use crate::ast::Program;
use crate::eval::Interpreter;
use crate::overrides::Overrides;
use crate::parser;
use serde_json::Value as Json;
use std::sync::Arc;

/// A compiled template; immutable and shared between threads.
#[derive(Clone, Debug)]
pub struct Template {
    program: Arc<Program>,
}

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// [`ParseError`] where Velocity 1.7 would refuse the template too, and for nesting beyond [`crate::limits::SYNTAX_DEPTH_MAX`].
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        Ok(Self { program: Arc::new(parser::parse(source)?) })
    }

    /// Renders for one request or response.
    ///
    /// # Errors
    /// [`RenderError`] when the body is needed and unreadable, when a method fails, or when the budget is spent.
    pub fn render(&self, input: &Input<'_>, budget: &Budget) -> Result<Rendered, RenderError> {
        self.render_with(input, budget, &[])
    }

    /// [`Template::render`] with further variables, which the product never binds.
    pub(crate) fn render_with(
        &self,
        input: &Input<'_>,
        budget: &Budget,
        variables: &[(&str, &Json)],
    ) -> Result<Rendered, RenderError> {
        let mut interpreter = Interpreter::new(input, budget)?;
        for (name, value) in variables {
            interpreter.bind(name, value)?;
        }
        let text = interpreter.run(&self.program)?;
        Ok(Rendered { text, overrides: interpreter.overrides()? })
    }
}

/// What a template can see; every part may be empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input<'a> {
    /// The request or response body as text.
    pub body: &'a str,
    /// Path parameters.
    pub path: &'a [(&'a str, &'a str)],
    /// Query parameters in arrival order; the last of a name wins.
    pub querystring: &'a [(&'a str, &'a str)],
    /// Headers in arrival order, names as received; the last of a name wins.
    pub header: &'a [(&'a str, &'a str)],
    /// The `$context` tree; `requestOverride` and `responseOverride` are added to it.
    pub context: Option<&'a Json>,
    /// `$stageVariables`.
    pub stage_variables: &'a [(&'a str, &'a str)],
    /// What the request template overrode, for the response template.
    pub overrides: Option<&'a Overrides>,
}

/// What one rendering may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Statements, operators and method calls; long texts count more than once.
    pub steps_max: u64,
    /// Length of the result.
    pub output_bytes_max: usize,
    /// Sum of all texts that are built on the way.
    pub memory_bytes_max: usize,
    /// Iterations of one `#foreach`, which then ends as if the list did.
    pub foreach_max: usize,
}

impl Default for Budget {
    /// API Gateway's own bounds where it states them: 10 MiB payloads, 1,000 iterations.
    fn default() -> Self {
        Self {
            steps_max: 5_000_000,
            output_bytes_max: 10 << 20,
            memory_bytes_max: 64 << 20,
            foreach_max: 1000,
        }
    }
}

/// A rendered template.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The mapped body.
    pub text: String,
    /// What the template set in `$context.requestOverride` and `$context.responseOverride`, earlier overrides included.
    pub overrides: Overrides,
}

/// Why a template does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What was wrong.
    pub message: String,
}

/// Why a template did not render.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The body is needed and no JSON; the text is AWS's own (answered with status 400).
    #[error("{0}")]
    Body(String),
    /// A list has no such position.
    #[error("index {index} is out of bounds for length {length}")]
    IndexOutOfBounds {
        /// As given.
        index: i64,
        /// Of the list or text.
        length: usize,
    },
    /// A method refused its arguments.
    #[error("method {0} failed")]
    Method(String),
    /// A JSON path is malformed or too costly.
    #[error(transparent)]
    Path(#[from] crate::jsonpath::PathError),
    /// A regular expression is malformed, too long, or needs look-around.
    #[error("invalid regular expression")]
    Pattern,
    /// `#parse` and `#include` have nothing to load from.
    #[error("{0} cannot load anything")]
    Load(&'static str),
    /// The text given to `#evaluate` does not compile.
    #[error("#evaluate: {0}")]
    Evaluate(ParseError),
    /// `#break` was given something that is no scope, or a macro call a bare word.
    #[error("invalid argument of {0}")]
    Argument(String),
    /// The step budget is spent.
    #[error("the template takes too many steps")]
    TooManySteps,
    /// The output budget is spent.
    #[error("the template writes too much")]
    TooMuchOutput,
    /// The memory budget is spent.
    #[error("the template uses too much memory")]
    TooMuchMemory,
    /// Macros, blocks or values are nested too deeply.
    #[error("the template nests too deeply")]
    TooDeep,
    /// A handle without a value: a defect of this crate.
    #[error("internal error")]
    Internal,
}
