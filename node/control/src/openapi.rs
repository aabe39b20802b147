//! OpenAPI documents to API definitions and back: pure text work.
//!
//! Reads OpenAPI 3.0 and Swagger 2.0, as JSON or YAML, with the `x-amazon-apigateway-*` extensions, and writes the same.
//! Must never touch the store, make an id or reach the network: `$ref`s are followed inside the document only.

mod export;
mod import;
mod limits;
mod schema;
mod source;
mod tidegate;
mod yaml;

#[cfg(test)]
mod tests;

use tidegate_proto::document::{
    ApiDefinition, ApiKeySource, EndpointConfiguration, Map, Method, Model, Stage,
};

pub use schema::MODEL_API_PLACEHOLDER;

/// The text that API Gateway answers for input that is no OpenAPI document at all.
pub const INVALID_INPUT: &str = "Invalid OpenAPI input.";

/// What becomes of the base path of the document. AWS: query parameter `basepath`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basepath {
    /// The base path is dropped.
    #[default]
    Ignore,
    /// The base path goes before every path.
    Prepend,
    /// The base path without its first segment goes before every path.
    Split,
}

impl Basepath {
    /// Reads the query parameter `basepath`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [("ignore", Self::Ignore), ("prepend", Self::Prepend), ("split", Self::Split)]
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, value)| value)
    }
}

/// How a document is read.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Base path; `parameters["basepath"]` wins over it.
    pub basepath: Basepath,
    /// Turns warnings into [`ImportError::Warnings`].
    pub fail_on_warnings: bool,
    /// Import parameters: `endpointConfigurationTypes`, `basepath`, `ignore`; others are warned about.
    pub parameters: Map<String>,
}

/// A document, read. Ids, dates and cache namespaces are left empty for the caller.
///
/// Schemas refer to other models by a URL with [`MODEL_API_PLACEHOLDER`] for the id; [`Imported::bind`] puts the id in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// `info.title`.
    pub name: String,
    /// `info.description`.
    pub description: Option<String>,
    /// `info.version`.
    pub version: Option<String>,
    /// Media types handled as bytes.
    pub binary_media_types: Vec<String>,
    /// Where the API key of a request is read from; absent when the document does not say.
    pub api_key_source: Option<ApiKeySource>,
    /// Endpoint types; absent when the document does not say.
    pub endpoint: Option<EndpointConfiguration>,
    /// Whether calls on the generated host name are refused; absent when the document does not say.
    pub disable_execute_api_endpoint: Option<bool>,
    /// Tags of the API.
    pub tags: Map<String>,
    /// Every path and all its ancestors, `/` included, parents before children.
    pub resources: Vec<ImportedResource>,
    /// Models by name, without ids.
    pub models: Map<Model>,
    /// What could not be taken over, with place and reason.
    pub warnings: Vec<String>,
}

impl Imported {
    /// Puts the id of the API into the references between models, as API Gateway prints them.
    pub fn bind(&mut self, rest_api_id: &str) {
        for model in self.models.values_mut() {
            if let Some(schema) = &mut model.schema {
                *schema = schema::bind(schema, rest_api_id);
            }
        }
    }
}

/// A path with its methods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportedResource {
    /// Full path from the root, starting with `/`.
    pub path: String,
    /// Methods by verb, `ANY` included.
    pub methods: Map<Method>,
}

/// Why a document was not imported; `Display` is the message of the `BadRequestException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The document is malformed or asks for what cannot be served.
    #[error("{}", import::refusal(messages))]
    Invalid {
        /// One line per problem; the first is [`INVALID_INPUT`] when there is no document to speak of.
        messages: Vec<String>,
    },
    /// There were warnings, and the caller wanted none.
    #[error("Warnings found during import:\n\t{}", messages.join("\n\t"))]
    Warnings {
        /// One line per warning.
        messages: Vec<String>,
    },
}

/// Reads a document.
///
/// # Errors
/// [`ImportError::Invalid`] for what cannot be read or served; nothing is taken over partly.
pub fn import(bytes: &[u8], options: &ImportOptions) -> Result<Imported, ImportError> {
    import::import(bytes, options)
}

/// Flavour of the written document. AWS: `exportType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// OpenAPI 3.0.1, `oas30`.
    #[default]
    Oas30,
    /// Swagger 2.0, `swagger`.
    Swagger,
}

impl Format {
    /// Reads the path parameter `exportType`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "oas30" => Some(Self::Oas30),
            "swagger" => Some(Self::Swagger),
            _ => None,
        }
    }

    /// The `exportType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oas30 => "oas30",
            Self::Swagger => "swagger",
        }
    }
}

/// Which extensions are written. AWS: query parameter `extensions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `integrations`: `x-amazon-apigateway-integration`.
    pub integrations: bool,
    /// `authorizers`: accepted; this version has no authorizers to write.
    pub authorizers: bool,
    /// `apigateway`: everything, so that an import gives an equal API.
    pub apigateway: bool,
    /// `postman`: accepted; the document is the one without extensions.
    pub postman: bool,
}

impl Extensions {
    /// Reads the comma-separated query parameter; `None` names an extension that does not exist.
    pub fn parse(text: &str) -> Option<Self> {
        let mut extensions = Self::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "integrations" => extensions.integrations = true,
                "authorizers" => extensions.authorizers = true,
                "apigateway" => extensions.apigateway = true,
                "postman" => extensions.postman = true,
                _ => return None,
            }
        }
        Some(extensions)
    }
}

/// How a document is written.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// Flavour.
    pub format: Format,
    /// YAML instead of JSON.
    pub yaml: bool,
    /// Extensions.
    pub extensions: Extensions,
    /// Scheme, host and base path to print; the stage name is the base path when there is none.
    pub server_url: String,
    /// ISO 8601 time, printed as `info.version` of an API without a version.
    pub date: String,
}

/// Why a definition could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// A method has a verb that OpenAPI cannot name.
    #[error("method {verb:?} of resource {path:?} cannot be written as OpenAPI")]
    Verb {
        /// Path of the resource.
        path: String,
        /// The verb.
        verb: String,
    },
    /// The definition holds a value that has no JSON form.
    #[error("the definition cannot be written: {0}")]
    Encode(String),
}

/// Writes the deployed definition of a stage.
///
/// With [`Extensions::apigateway`], importing the result gives an equal definition except for ids, dates and `$schema`.
///
/// # Errors
/// [`ExportError`] when the definition has no OpenAPI form.
pub fn export(
    definition: &ApiDefinition,
    stage: &Stage,
    options: &ExportOptions,
) -> Result<Vec<u8>, ExportError> {
    export::export(definition, stage, options)
}

/// The file name that `GetExport` puts into `Content-Disposition`.
pub fn export_file_name(definition: &ApiDefinition, options: &ExportOptions) -> String {
    let version = definition.api.version.as_deref().unwrap_or(&options.date);
    let version: String =
        version.chars().filter(|c| c.is_ascii_graphic() && !"\"\\/;".contains(*c)).collect();
    format!("{}_{version}.{}", options.format.name(), if options.yaml { "yaml" } else { "json" })
}
