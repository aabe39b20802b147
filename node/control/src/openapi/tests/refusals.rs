//! What is refused, and with which words.

use crate::openapi::{ImportError, ImportOptions, import};

fn refusal(document: &str) -> String {
    match import(document.as_bytes(), &ImportOptions::default()) {
        Ok(imported) => panic!("{document} was imported with {:?}", imported.warnings),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_no_document_is_invalid_input() {
    for (document, message) in [
        ("", "Invalid OpenAPI input."),
        ("   ", "Invalid OpenAPI input."),
        ("just text", "Invalid OpenAPI input."),
        ("[1, 2]", "Invalid OpenAPI input."),
        ("null", "Invalid OpenAPI input."),
        ("{}", "Invalid OpenAPI input. (neither swagger nor openapi names a version)"),
        (
            "{\"openapi\": \"3.1.0\"}",
            "Invalid OpenAPI input. (OpenAPI '3.1.0' is not supported, only 3.0 and Swagger 2.0)",
        ),
        (
            "openapi: 3.1.0",
            "Invalid OpenAPI input. (OpenAPI '3.1.0' is not supported, only 3.0 and Swagger 2.0)",
        ),
        ("swagger: '1.2'", "Invalid OpenAPI input. (swagger '1.2' is not 2.0)"),
        ("{\"swagger\": \"2.0\"", "Invalid OpenAPI input. (EOF while parsing an object at line 1 column 17)"),
    ] {
        let refused = refusal(document);
        assert!(refused.starts_with(message), "{document:?} gives {refused:?}");
    }
    assert!(import(b"\xff\xfe{", &ImportOptions::default()).is_err());
    let bad_yaml = refusal("swagger: '2.0'\nswagger: '2.0'\n");
    assert!(bad_yaml.starts_with("Invalid OpenAPI input. (") && bad_yaml.contains("swagger"), "{bad_yaml}");
    let tagged = refusal("swagger: '2.0'\ninfo: !Sub text\n");
    assert!(tagged.starts_with("Invalid OpenAPI input. (") && tagged.contains("Sub"), "{tagged}");
}

/// A Swagger document with one operation on `path`, given by its fields.
fn with_operation(path: &str, operation: &str) -> String {
    format!(
        r##"{{"swagger":"2.0","info":{{"title":"t","version":"1"}},"paths":{{"{path}":{{"get":{{"responses":{{"200":{{"description":"ok"}}}},{operation}}}}}}},
        "securityDefinitions":{{"sig":{{"type":"apiKey","in":"header","name":"Authorization","x-amazon-apigateway-authtype":"awsSigv4"}},
        "token":{{"type":"apiKey","in":"header","name":"Authorization","x-amazon-apigateway-authorizer":{{"type":"token"}}}}}},
        "parameters":{{"A":{{"$ref":"#/parameters/B"}},"B":{{"$ref":"#/parameters/A"}}}}}}"##
    )
}

fn with_integration(integration: &str) -> String {
    with_operation("/x", &format!(r#""x-amazon-apigateway-integration":{integration}"#))
}

const PUT_INTEGRATION: &str = "Unable to put integration on 'GET' for resource at path '/x': ";
const PUT_METHOD: &str = "Unable to put method 'GET' on resource at path '/x': ";
const MALFORMED: &str = "Unable to parse API definition because of a malformed integration at path /x.";

#[test]
fn integrations_that_cannot_be_served_are_refused() {
    let http = |more: &str| format!(r#"{{"type":"http","httpMethod":"GET","uri":"http://a"{more}}}"#);
    for (integration, message) in [
        (r#""mock""#.to_owned(), MALFORMED.to_owned()),
        (r"{}".into(), MALFORMED.into()),
        (r#"{"type":"AWS_PROXY"}"#.into(), format!("{PUT_INTEGRATION}integration type AWS_PROXY is not supported by this version")),
        (r#"{"type":"aws"}"#.into(), format!("{PUT_INTEGRATION}integration type AWS is not supported by this version")),
        (r#"{"type":"ftp"}"#.into(), format!("{PUT_INTEGRATION}integration type 'ftp' is unknown")),
        (r#"{"type":"http","uri":"http://a"}"#.into(), format!("{PUT_INTEGRATION}Enumeration value for HttpMethod must be non-empty")),
        (
            r#"{"type":"http","uri":"http://a","httpMethod":"FETCH"}"#.into(),
            format!("{PUT_INTEGRATION}Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY"),
        ),
        (r#"{"type":"http","httpMethod":"GET"}"#.into(), format!("{PUT_INTEGRATION}Invalid HTTP endpoint specified for URI")),
        (
            r#"{"type":"http","httpMethod":"GET","uri":"arn:aws:x"}"#.into(),
            format!("{PUT_INTEGRATION}Invalid HTTP endpoint specified for URI"),
        ),
        (http(r#","connectionType":"vpc_link""#), format!("{PUT_INTEGRATION}connectionId must be specified for connectionType VPC_LINK")),
        (http(r#","connectionId":"l""#), format!("{PUT_INTEGRATION}connectionId can only be specified for connectionType VPC_LINK")),
        (http(r#","connectionType":"carrier pigeon""#), format!("{PUT_INTEGRATION}connection type 'carrier pigeon' is unknown")),
        (http(r#","timeoutInMillis":49"#), format!("{PUT_INTEGRATION}Timeout should be between 50 ms and 29000 ms")),
        (http(r#","timeoutInMillis":29001"#), format!("{PUT_INTEGRATION}Timeout should be between 50 ms and 29000 ms")),
        (
            http(r#","passthroughBehavior":"always""#),
            format!("{PUT_INTEGRATION}passthroughBehavior 'always' is none of WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER"),
        ),
        (http(r#","responses":{"default":{}}"#), format!("{PUT_INTEGRATION}Invalid status code specified for an integration response")),
        (http(r#","responses":[]"#), "Parse issue: attribute paths.'/x'(get).x-amazon-apigateway-integration.responses is not of type object".into()),
        (
            r##"{"$ref":"#/x-amazon-apigateway-integrations/none"}"##.into(),
            "Unable to resolve reference '#/x-amazon-apigateway-integrations/none' at paths.'/x'(get).x-amazon-apigateway-integration".into(),
        ),
    ] {
        assert_eq!(refusal(&with_integration(&integration)), format!("Errors found during import:\n\t{message}"), "{integration}");
    }
}

#[test]
fn a_protected_method_is_not_imported_unprotected() {
    for (operation, message) in [
        (
            r#""security":[{"sig":[]}]"#,
            "security scheme 'sig' (x-amazon-apigateway-authtype 'awsSigv4') is not supported by this version",
        ),
        (
            r#""security":[{"token":[]}]"#,
            "security scheme 'token' (authorizer of type 'token') is not supported by this version",
        ),
        (r#""security":[{"nowhere":[]}]"#, "security scheme 'nowhere' is not defined"),
        (
            r#""x-amazon-apigateway-auth":{"type":"AWS_IAM"}"#,
            "authorization type 'AWS_IAM' is not supported by this version",
        ),
    ] {
        let refused = refusal(&with_operation("/x", operation));
        assert_eq!(refused, format!("Errors found during import:\n\t{PUT_METHOD}{message}"), "{operation}");
    }
}

#[test]
fn paths_follow_the_rules_of_the_tree() {
    let part = "Resource's path part only allow a-zA-Z0-9._-,: or a valid greedy path variable and curly braces at the beginning and the end.";
    let long = format!("/{}", "a".repeat(3_000));
    for (paths, message) in [
        (vec!["x"], "Unable to create resource at path 'x': The path must start with /".to_owned()),
        (vec!["/a//b"], format!("Unable to create resource at path '/a//b': {part}")),
        (vec!["/a b"], format!("Unable to create resource at path '/a b': {part}")),
        (vec!["/{a}.json"], format!("Unable to create resource at path '/{{a}}.json': {part}")),
        (vec!["/{+}"], format!("Unable to create resource at path '/{{+}}': {part}")),
        (
            vec!["/{a+}/b"],
            "Unable to create resource at path '/{a+}/b': Cannot create a child of a resource with a greedy path variable: {a+}".into(),
        ),
        (
            vec!["/p/{a}", "/p/{b}/c"],
            "Unable to create resource at path '/p/{b}/c': A sibling ({a}) of this resource already has a variable path part -- only one is allowed".into(),
        ),
        (vec!["/a", "/a/"], "Method GET on path '/a' is defined more than once".into()),
        (vec![&long], format!("Unable to create resource at path '{}…': The path is longer than 2048 bytes", &long[..120])),
    ] {
        let items: Vec<String> = paths.iter().map(|path| format!(r#""{path}":{{"get":{{"responses":{{}}}}}}"#)).collect();
        let document = format!(r#"{{"swagger":"2.0","info":{{"title":"t"}},"paths":{{{}}}}}"#, items.join(","));
        assert_eq!(refusal(&document), format!("Errors found during import:\n\t{message}"), "{paths:?}");
    }
}

#[test]
fn parts_of_the_wrong_shape_are_refused() {
    for (document, message) in [
        (r#"{"swagger":"2.0","paths":{}}"#.to_owned(), "Parse issue: attribute info is missing"),
        (r#"{"swagger":"2.0","info":{},"paths":{}}"#.into(), "Parse issue: attribute info.title is missing"),
        (r#"{"swagger":"2.0","info":{"title":"t"}}"#.into(), "Parse issue: attribute paths is missing"),
        (
            r#"{"swagger":"2.0","info":[],"paths":{}}"#.into(),
            "Parse issue: attribute document.info is not of type object",
        ),
        (
            with_operation("/x", r#""parameters":[{"name":"a"}]"#),
            "Parse issue: attribute paths.'/x'(get).parameters[0].in is missing",
        ),
        (
            with_operation("/x", r#""parameters":[{"in":"query"}]"#),
            "Parse issue: attribute paths.'/x'(get).parameters[0].name is missing",
        ),
        (
            with_operation("/x", r#""parameters":[{"in":"soul","name":"a"}]"#),
            "Parse issue: attribute paths.'/x'(get).parameters[0].in is 'soul'",
        ),
        (
            with_operation("/x", r#""parameters":[{"in":"query","name":"a","required":"yes"}]"#),
            "Parse issue: attribute paths.'/x'(get).parameters[0].required is not of type boolean",
        ),
        (
            with_operation("/x", r##""parameters":[{"$ref":"#/parameters/A"}]"##),
            "References lead in a circle at paths.'/x'(get).parameters[0]",
        ),
        (
            with_operation("/x", r#""parameters":[{"$ref":"other.yaml#/A"}]"#),
            "Unable to resolve reference 'other.yaml#/A' at paths.'/x'(get).parameters[0]",
        ),
        (
            with_operation("/x", r#""x-tidegate-method":{"uri":"http://a"}"#),
            "Parse issue: attribute paths.'/x'(get).x-tidegate-method: 'unknown field",
        ),
    ] {
        let refused = refusal(&document);
        assert!(refused.contains(message), "{document} gives {refused}");
    }
}

#[test]
fn warnings_refuse_when_asked_to() {
    let document = with_operation("/x", r#""x-amazon-apigateway-request-validator":"all""#);
    let options = ImportOptions { fail_on_warnings: true, ..ImportOptions::default() };
    let Err(error) = import(document.as_bytes(), &options) else { panic!("imported") };
    assert!(matches!(error, ImportError::Warnings { .. }));
    assert_eq!(
        error.to_string().lines().collect::<Vec<_>>(),
        [
            "Warnings found during import:",
            "\t'x-amazon-apigateway-request-validator' at paths.'/x'(get) is not supported: this version does not validate requests",
            "\tsecurityDefinitions.'token' is not created: this version has no authorizers",
        ]
    );
}
