//! Random definitions, rich enough to use every field that a definition may have.

use serde_json::{Value, json};
use tidegate_proto::document::{
    ApiDefinition, ApiKeySource, CacheMode, EndpointConfiguration, Integration, IntegrationResponse, Map,
    Method, MethodResponse, Model, Resource, RestApi, TlsConfig,
};

use super::definition::API_ID;

/// A linear congruential generator: the same seed gives the same definitions on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn maybe<T>(&mut self, percent: usize, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(percent).then(|| make(self))
    }

    fn map<V>(
        &mut self,
        most: usize,
        key: impl Fn(&mut Self) -> String,
        value: impl Fn(&mut Self) -> V,
    ) -> Map<V> {
        (0..self.below(most + 1)).map(|_| (key(self), value(self))).collect()
    }

    /// Text that is hard on YAML.
    fn text(&mut self) -> String {
        const PARTS: [&str; 24] = [
            "yes",
            "no",
            "null",
            "~",
            "1.0",
            "0x1f",
            "12:30:45",
            " ",
            "\n",
            "\t",
            "\"",
            "'",
            "\\",
            ": ",
            " #",
            "- ",
            "{{",
            "ü",
            "\u{2028}",
            "\u{85}",
            "😀",
            "\u{feff}",
            "$input.json('$')",
            "%",
        ];
        (0..self.below(5)).map(|_| *self.pick(&PARTS)).collect()
    }

    fn word(&mut self) -> String {
        const WORDS: [&str; 12] =
            ["id", "page", "X-Trace", "a.b", "filter", "y", "null", "Accept", "on", "123", "true", "x_y"];
        (*self.pick(&WORDS)).to_owned()
    }

    fn media_type(&mut self) -> String {
        (*self.pick(&["application/json", "application/xml", "text/plain; charset=utf-8", "*/*", "$default"]))
            .to_owned()
    }

    fn status(&mut self) -> String {
        (*self.pick(&["200", "201", "204", "302", "400", "404", "500", "503"])).to_owned()
    }
}

pub(super) fn definition(random: &mut Random) -> ApiDefinition {
    let models = models(random);
    let names: Vec<String> = models.keys().cloned().collect();
    let api = RestApi {
        id: API_ID.into(),
        name: format!("n{}", random.text()),
        description: random.maybe(50, Random::text),
        version: random.maybe(50, Random::text),
        binary_media_types: random.map(2, Random::media_type, |_| ()).into_keys().collect(),
        api_key_source: *random.pick(&[ApiKeySource::Header, ApiKeySource::Authorizer]),
        endpoint_configuration: EndpointConfiguration {
            types: vec![(*random.pick(&["EDGE", "REGIONAL", "PRIVATE"])).into()],
            ip_address_type: (*random.pick(&["ipv4", "dualstack"])).into(),
            vpc_endpoint_ids: random.map(2, Random::word, |_| ()).into_keys().collect(),
        },
        tags: random.map(3, Random::word, Random::text),
        disable_execute_api_endpoint: random.chance(50),
        ..RestApi::default()
    };
    let mut resources = vec![resource(random, "/", 0, &names)];
    for index in 1..random.below(7) {
        let parent = resources[random.below(index)].path.clone();
        let parent = if parent == "/" { String::new() } else { parent };
        let part = match random.below(4) {
            0 if !parent.ends_with("+}") => "{id}".to_owned(),
            1 => format!("{{proxy{index}+}}"),
            _ => format!("{}{index}", random.pick(&["a", "b-c", "d.e", "on", "f:g"])),
        };
        let siblings = |part: &str| part.starts_with('{');
        let path = format!("{parent}/{part}");
        let taken = resources.iter().any(|other| {
            let (other_parent, other_part) = other.path.rsplit_once('/').unwrap_or_default();
            other.path == path || (other_parent == parent && siblings(other_part) && siblings(&part))
        });
        if taken || parent.ends_with("+}") {
            resources.push(resource(random, &format!("/free{index}"), index, &names));
        } else {
            resources.push(resource(random, &path, index, &names));
        }
    }
    ApiDefinition { api, resources, models }
}

fn resource(random: &mut Random, path: &str, index: usize, models: &[String]) -> Resource {
    let mut resource_methods = Map::new();
    for _ in 0..random.below(4) {
        let verb = *random.pick(&["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY"]);
        resource_methods.insert(verb.to_owned(), method(random, verb, index, models));
    }
    Resource { id: format!("res{index}"), path: path.into(), resource_methods, ..Resource::default() }
}

fn method(random: &mut Random, verb: &str, resource: usize, models: &[String]) -> Method {
    let model = |random: &mut Random| match models.is_empty() || random.chance(5) {
        true => "Absent".to_owned(),
        false => random.pick(models).clone(),
    };
    let request_parameter = |random: &mut Random| {
        let location = *random.pick(&["path", "querystring", "querystring", "header", "multivalueheader"]);
        format!("method.request.{location}.{}", random.word())
    };
    let method_response = |random: &mut Random| MethodResponse {
        response_parameters: random.map(
            2,
            |random| format!("method.response.header.{}", random.word()),
            |random| random.chance(20),
        ),
        response_models: random.map(2, Random::media_type, model),
        ..MethodResponse::default()
    };
    let mut method_responses = random.map(3, Random::status, method_response);
    for (status, response) in &mut method_responses {
        response.status_code.clone_from(status);
    }
    let request_parameters = random.map(4, request_parameter, |random| random.chance(50));
    let keys: Vec<String> =
        request_parameters.keys().filter(|name| !name.contains("multi")).take(2).cloned().collect();
    Method {
        http_method: verb.into(),
        authorization_type: "NONE".into(),
        api_key_required: random.chance(30),
        operation_name: random.maybe(50, Random::text),
        request_parameters,
        request_models: random.map(2, Random::media_type, model),
        method_responses,
        tidegate_cache: random
            .maybe(30, |random| *random.pick(&[CacheMode::Aws, CacheMode::Rfc9111, CacheMode::Off])),
        method_integration: random.maybe(90, |random| integration(random, resource, &keys)),
        ..Method::default()
    }
}

fn integration(random: &mut Random, resource: usize, keys: &[String]) -> Integration {
    let kind = *random.pick(&["HTTP", "HTTP_PROXY", "MOCK"]);
    let mock = kind == "MOCK";
    let contents = |random: &mut Random| {
        random.maybe(20, |random| (*random.pick(&["CONVERT_TO_BINARY", "CONVERT_TO_TEXT"])).to_owned())
    };
    let response = |random: &mut Random| IntegrationResponse {
        selection_pattern: random.maybe(60, |random| {
            random
                .pick(&["2\\d{2}", "4\\d{2}", ".*", "default", "", "a: b #c", &"long|".repeat(300)])
                .to_string()
        }),
        response_parameters: random.map(
            2,
            |random| format!("method.response.header.{}", random.word()),
            |random| format!("'{}'", random.text()),
        ),
        response_templates: random.map(2, Random::media_type, |random| random.maybe(80, Random::text)),
        content_handling: contents(random),
        ..IntegrationResponse::default()
    };
    let mut integration_responses = random.map(3, Random::status, response);
    for (status, response) in &mut integration_responses {
        response.status_code.clone_from(status);
    }
    let link = random.maybe(30, Random::word).filter(|_| !mock);
    Integration {
        kind: kind.into(),
        http_method: (!mock).then(|| (*random.pick(&["GET", "POST", "ANY"])).into()),
        uri: (!mock).then(|| format!("https://${{stageVariables.host}}/{}", random.text())),
        connection_type: (!mock).then(|| if link.is_some() { "VPC_LINK" } else { "INTERNET" }.into()),
        connection_id: link,
        request_parameters: random.map(
            3,
            |random| format!("integration.request.header.{}", random.word()),
            Random::text,
        ),
        request_templates: random.map(2, Random::media_type, Random::text),
        passthrough_behavior: (*random.pick(&["WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"])).into(),
        content_handling: contents(random),
        timeout_in_millis: *random.pick(&[50, 1_000, 29_000]),
        cache_namespace: if random.chance(70) { format!("res{resource}") } else { "ns".into() },
        cache_key_parameters: if random.chance(50) { keys.to_vec() } else { Vec::new() },
        integration_responses,
        tls_config: random.maybe(20, |random| TlsConfig { insecure_skip_verification: random.chance(50) }),
        ..Integration::default()
    }
}

fn models(random: &mut Random) -> Map<Model> {
    let count = random.below(5);
    (0..count)
        .map(|index| {
            let name = format!("Model{index}");
            let text = match random.below(12) {
                0 => None,
                1 => Some("not json".to_owned()),
                2 => Some("true".to_owned()),
                _ => Some(schema(random, 3, count).to_string()),
            };
            let model = Model {
                name: name.clone(),
                schema: text,
                description: random.maybe(30, Random::text),
                content_type: (*random.pick(&["application/json", "application/json", "application/xml"]))
                    .into(),
                generated: random.chance(10),
                ..Model::default()
            };
            (name, model)
        })
        .collect()
}

fn schema(random: &mut Random, depth: usize, models: usize) -> Value {
    if depth == 0 || random.chance(20) {
        return json!({ "type": "string", "description": random.text() });
    }
    match random.below(7) {
        0 => {
            let id = *random.pick(&[API_ID, "otherapi12"]);
            json!({ "$ref": format!("https://apigateway.amazonaws.com/restapis/{id}/models/Model{}", random.below(models + 1)) })
        }
        1 => json!({ "type": "array", "items": schema(random, depth - 1, models) }),
        2 => {
            json!({ "$schema": "http://json-schema.org/draft-04/schema#", "title": random.text(), "type": "object" })
        }
        3 => json!({ "definitions": { "x": schema(random, depth - 1, models) }, "$ref": "#/definitions/x" }),
        4 => json!({ "minimum": 1.5, "maximum": 1e30, "enum": [null, true, -7, 0.1, "\u{2029}", []] }),
        5 => json!({ "description": random.text(), "allOf": [schema(random, depth - 1, models), {}] }),
        _ => {
            let properties: serde_json::Map<String, Value> =
                (0..random.below(4)).map(|_| (random.word(), schema(random, depth - 1, models))).collect();
            json!({ "type": "object", "properties": properties, "required": ["id"] })
        }
    }
}
