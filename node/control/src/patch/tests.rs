//! The engine over a small entity; the entities test their own tables.

use super::*;

const ENTITY: Table = Table {
    style: Style::Plain,
    rules: &[
        Rule {
            path: "/name",
            ops: &[Op::Replace, Op::Remove, Op::Test, Op::Copy, Op::Move],
            kind: Kind::Text,
        },
        Rule { path: "/on", ops: REPLACE, kind: Kind::Flag },
        Rule { path: "/size", ops: REPLACE, kind: Kind::Number },
        Rule { path: "/tls/insecure", ops: REPLACE, kind: Kind::Flag },
        Rule {
            path: "/params/{}",
            ops: ADD_REMOVE_REPLACE,
            kind: Kind::FlagEntry(Some("no such parameter")),
        },
        Rule { path: "/texts/{}", ops: ADD_REMOVE_REPLACE, kind: Kind::TextEntry(None) },
        Rule { path: "/media/{}", ops: ADD_REMOVE_REPLACE, kind: Kind::Member },
        Rule { path: "/types/{}", ops: ADD_REMOVE_REPLACE, kind: Kind::Only },
        Rule { path: "/later", ops: REPLACE, kind: Kind::Later(Shape::Stage, "tracingEnabled") },
    ],
};

fn start() -> Value {
    json!({"name": "a", "on": false, "params": {"x": true}, "media": ["image/png", "a/b"], "types": ["EDGE"]})
}

fn run(operations: Value) -> Result<Value, String> {
    let body = json!({ "patchOperations": operations }).to_string();
    let patches = parse("updateThingInput", body.as_bytes(), &[]).map_err(|error| error.message)?;
    let mut document = start();
    apply(&ENTITY, &mut document, &patches).map_err(|error| error.message)?;
    Ok(document)
}

#[test]
fn edits() {
    let cases = [
        (json!([{"op": "replace", "path": "/name", "value": "b"}]), "/name", json!("b")),
        (json!([{"op": "remove", "path": "/name"}]), "/name", Value::Null),
        (json!([{"op": "replace", "path": "/on", "value": "TRUE"}]), "/on", json!(true)),
        (json!([{"op": "replace", "path": "/on", "value": "whatever"}]), "/on", json!(false)),
        (json!([{"op": "replace", "path": "/size", "value": "12"}]), "/size", json!(12)),
        (
            json!([{"op": "replace", "path": "/tls/insecure", "value": "true"}]),
            "/tls",
            json!({"insecure": true}),
        ),
        (
            json!([{"op": "add", "path": "/params/y", "value": "true"}]),
            "/params",
            json!({"x": true, "y": true}),
        ),
        (json!([{"op": "remove", "path": "/params/x"}]), "/params", json!({})),
        (json!([{"op": "replace", "path": "/texts/a~1b~0c", "value": "t"}]), "/texts", json!({"a/b~c": "t"})),
        (json!([{"op": "add", "path": "/media/-"}]), "/media", json!(["image/png", "a/b", "-"])),
        (
            json!([{"op": "replace", "path": "/media/image~1png", "value": "image/gif"}]),
            "/media",
            json!(["a/b", "image/gif"]),
        ),
        (json!([{"op": "remove", "path": "/media/a~1b"}]), "/media", json!(["image/png"])),
        (json!([{"op": "replace", "path": "/types/0", "value": "PRIVATE"}]), "/types", json!(["PRIVATE"])),
        (
            json!([{"op": "replace", "path": "/types/EDGE", "value": "REGIONAL"}]),
            "/types",
            json!(["REGIONAL"]),
        ),
        (json!([{"op": "remove", "path": "/types/EDGE"}]), "/types", json!([])),
        (
            json!([{"op": "add", "path": "/texts/t", "value": "v"}, {"op": "copy", "path": "/name", "from": "/texts/t"}]),
            "/name",
            json!("v"),
        ),
        (
            json!([{"op": "add", "path": "/texts/t", "value": "v"}, {"op": "move", "path": "/name", "from": "/texts/t"}]),
            "/texts",
            json!({}),
        ),
        (json!([{"op": "test", "path": "/name", "value": "a"}]), "/name", json!("a")),
        (json!([{"op": "replace", "path": "/later", "value": "false"}]), "/name", json!("a")),
    ];
    for (operations, at, expect) in cases {
        let document = run(operations.clone()).unwrap();
        assert_eq!(document.pointer(at).cloned().unwrap_or_default(), expect, "{operations}");
    }
}

#[test]
fn refusals() {
    let wrong = "Member must satisfy enum value set: [add, remove, move, test, replace, copy]";
    let cases = [
        (json!([{"op": "replace", "path": "/nope"}]), "Invalid patch path /nope".to_owned()),
        (json!([{"op": "replace"}]), "Invalid patch path null".into()),
        (json!([{"op": "replace", "path": "name"}]), "Invalid patch path name".into()),
        (json!([{"op": "replace", "path": "/media"}]), "Invalid patch path /media".into()),
        (json!([{"op": "replace", "path": "/texts/a/b"}]), "Invalid patch path /texts/a/b".into()),
        (json!([{"op": "add", "path": "/on"}]), "Invalid patch operation specified. Must be one of: [replace]".into()),
        (
            json!([{"op": "copy", "path": "/types/0"}]),
            "Invalid patch operation specified. Must be 'add'|'remove'|'replace'".into(),
        ),
        (json!([{"op": "replace", "path": "/params/z", "value": "true"}]), "no such parameter".into()),
        (json!([{"op": "remove", "path": "/params/z"}]), "no such parameter".into()),
        (json!([{"op": "remove", "path": "/media/z~1z"}]), "Nothing to remove at /media/z~1z".into()),
        (
            json!([{"op": "replace", "path": "/size", "value": "big"}]),
            "Invalid value 'big' specified for size, must be a whole number".into(),
        ),
        (
            json!([{"op": "test", "path": "/name", "value": "z"}]),
            "Test of patch path /name failed: expected 'z', found 'a'".into(),
        ),
        (json!([{"op": "copy", "path": "/name", "from": "/nope"}]), "Invalid patch from /nope".into()),
        (json!([{"op": "copy", "path": "/name", "from": "/texts/t"}]), "Nothing to copy at patch from /texts/t".into()),
        (
            json!([{"op": "replace", "path": "/later", "value": "true"}]),
            "Tracing per stage is not supported by this version of Tidegate: field tracingEnabled, value true".into(),
        ),
        (
            json!([{"op": "bad", "path": "/name"}, {"op": "add", "path": "/on"}, {"op": "worse", "path": "/on"}]),
            format!(
                "2 validation errors detected: Value 'bad' at 'updateThingInput.patchOperations.1.member.op' failed to satisfy constraint: {wrong}; Value 'worse' at 'updateThingInput.patchOperations.3.member.op' failed to satisfy constraint: {wrong}"
            ),
        ),
    ];
    for (operations, expect) in cases {
        assert_eq!(run(operations.clone()).unwrap_err(), expect, "{operations}");
    }
    let many: Vec<Value> =
        (0..=PATCH_OPERATIONS_MAX).map(|_| json!({"op": "test", "path": "/name"})).collect();
    assert_eq!(run(json!(many)).unwrap_err(), "patchOperations has 501 operations, the limit is 500");
}
