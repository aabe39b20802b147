//! The mapping language: Velocity 1.7 with `$input`, `$util`, `$context` and `$stageVariables`, and Jayway JSON paths. Owns rendering within a budget; must never read a clock, a file or the network.
//!
//! ```
//! use tidegate_template::{Budget, Input, Template};
//!
//! let template = Template::parse("#foreach($p in $input.path('$.pets'))$p.name#if($foreach.hasNext),#end#end").unwrap();
//! let input = Input { body: r#"{"pets":[{"name":"Rex"},{"name":"Tom"}]}"#, ..Input::default() };
//! assert_eq!(template.render(&input, &Budget::default()).unwrap().text, "Rex,Tom");
//! ```

mod ast;
mod eval;
mod functions;
mod heap;
mod input;
mod json;
pub mod jsonpath;
mod lexer;
pub mod limits;
mod methods;
mod number;
mod overrides;
mod parser;
mod print;
mod template;
#[cfg(test)]
mod tests;

pub use overrides::{Overrides, RequestOverrides, ResponseOverrides};
pub use template::{Budget, Input, ParseError, RenderError, Rendered, Template};
