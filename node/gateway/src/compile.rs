//! Turns a deployment's definition and a stage into the compiled stage: every name becomes an index, every stage
//! variable a constant, and whatever cannot work is refused with the place where it stands.

mod integration;
mod mapping;
mod tree;
mod uri;

pub(crate) use uri::substitute;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use tidegate_proto::{
    compiled::{MethodV1, StageV1, VERBS},
    document::{ApiDefinition, Map, Method, Resource, Stage},
    limits,
};

/// Why a definition cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}{}", self.place())]
pub struct CompileError {
    /// Path of the resource, empty when the API as a whole is at fault.
    pub path: String,
    /// Verb of the method, empty when the resource or the API is at fault.
    pub method: String,
    /// Field of the AWS document, such as `integration.uri`.
    pub field: String,
    /// The value that was refused.
    pub value: Option<String>,
    /// The rule it breaks, in AWS's words where AWS has them.
    pub rule: String,
}

impl CompileError {
    fn place(&self) -> String {
        match (self.path.as_str(), self.method.as_str(), self.field.as_str()) {
            ("", _, _) => String::new(),
            (path, "", field) => format!(" ({path}, {field})"),
            (path, method, field) => format!(" ({method} {path}, {field})"),
        }
    }
}

/// Compiles one stage.
///
/// # Errors
/// The first fault in path order. `rule` is AWS's text for an API without methods and for a method without integration.
pub fn compile(definition: &ApiDefinition, stage: &Stage) -> Result<StageV1, CompileError> {
    let mut resources: Vec<&Resource> = definition.resources.iter().collect();
    resources.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let mut interned = Interned::default();
    let mut tree = tree::Tree::default();
    let mut methods = Vec::new();
    for resource in resources {
        let site = Site { path: &resource.path, verb: "", variables: &stage.variables };
        let (node, names) = tree.insert(&site)?;
        for (verb, method) in &resource.resource_methods {
            let site = Site { verb, ..site };
            let slot = VERBS.iter().position(|known| known == verb).ok_or_else(|| {
                site.error("httpMethod", Some(verb), "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY")
            })?;
            let compiled = self::method(&site, resource, method, &names, &mut interned)?;
            let index = u32::try_from(methods.len())
                .map_err(|_| site.error("resources", None, "too many methods"))?;
            tree.set_method(node, slot, index);
            methods.push(compiled);
        }
    }
    if methods.is_empty() {
        let site = Site { path: "", verb: "", variables: &stage.variables };
        return Err(site.error("resources", None, "The REST API doesn't contain any methods"));
    }
    let mut out = StageV1 {
        api: definition.api.id.clone(),
        api_name: definition.api.name.clone(),
        stage: stage.stage_name.clone(),
        deployment: stage.deployment_id.clone(),
        execute_api_disabled: definition.api.disable_execute_api_endpoint,
        binary_media_types: definition.api.binary_media_types.clone(),
        variables: stage.variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        methods,
        templates: interned.templates.texts,
        patterns: interned.patterns.texts,
        ..StageV1::default()
    };
    tree.flatten(&mut out);
    Ok(out)
}

fn method(
    site: &Site<'_>,
    resource: &Resource,
    method: &Method,
    names: &[String],
    interned: &mut Interned,
) -> Result<MethodV1, CompileError> {
    let Some(integration) = &method.method_integration else {
        return Err(site.error("methodIntegration", None, "No integration defined for method"));
    };
    if !matches!(method.authorization_type.as_str(), "" | "NONE") {
        return Err(site.error(
            "authorizationType",
            Some(&method.authorization_type),
            "this version serves NONE only",
        ));
    }
    Ok(MethodV1 {
        resource: resource.id.clone(),
        resource_path: resource.path.clone(),
        verb: site.verb.to_owned(),
        path_parameters: names.to_vec(),
        api_key_required: method.api_key_required,
        integration: integration::compile(site, integration, names, interned)?,
    })
}

/// Where the compiler is, for its errors, and what it substitutes.
#[derive(Clone, Copy)]
struct Site<'a> {
    path: &'a str,
    verb: &'a str,
    variables: &'a Map<String>,
}

impl Site<'_> {
    fn error(&self, field: &str, value: Option<&str>, rule: impl Into<String>) -> CompileError {
        CompileError {
            path: self.path.to_owned(),
            method: self.verb.to_owned(),
            field: field.to_owned(),
            value: value.map(str::to_owned),
            rule: rule.into(),
        }
    }
}

/// Templates and patterns, each text once: thousands of methods usually share a handful.
#[derive(Default)]
struct Interned {
    templates: Texts,
    patterns: Texts,
}

impl Interned {
    fn template(&mut self, site: &Site<'_>, field: &str, text: &str) -> Result<u32, CompileError> {
        if let Some(index) = self.templates.known(text) {
            return Ok(index);
        }
        if text.len() > limits::TEMPLATE_BYTES_MAX {
            return Err(site.error(
                field,
                None,
                format!("a mapping template has at most {} bytes", limits::TEMPLATE_BYTES_MAX),
            ));
        }
        crate::transform::parse_template(text).map_err(|error| site.error(field, Some(text), error))?;
        Ok(self.templates.add(text))
    }

    fn pattern(&mut self, site: &Site<'_>, field: &str, text: &str) -> Result<u32, CompileError> {
        if let Some(index) = self.patterns.known(text) {
            return Ok(index);
        }
        crate::table::StatusSet::parse(text).map_err(|error| site.error(field, Some(text), error))?;
        Ok(self.patterns.add(text))
    }
}

#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    index: HashMap<String, u32>,
}

impl Texts {
    fn known(&self, text: &str) -> Option<u32> {
        self.index.get(text).copied()
    }

    fn add(&mut self, text: &str) -> u32 {
        let index = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.index.insert(text.to_owned(), index);
        index
    }
}
