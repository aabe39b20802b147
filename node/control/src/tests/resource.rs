//! The path tree: AWS's recorded life cycle and refusals.

use serde_json::{Value, json};

use super::rig::{ACCOUNT, Rig, patch, replace, text};

struct Tree {
    rig: Rig,
    api: String,
    root: String,
}

impl Tree {
    fn new() -> Self {
        let rig = Rig::new();
        let (api, root) = rig.api();
        Self { rig, api, root }
    }

    fn at(&self, id: &str) -> String {
        format!("/restapis/{}/resources/{id}", self.api)
    }

    fn add(&self, parent: &str, part: &str) -> String {
        text(&self.rig.expect(201, "POST", &self.at(parent), json!({ "pathPart": part }))["id"])
    }

    fn refuse(&self, parent: &str, part: &str, status: u16, message: &str) {
        self.rig.refused("POST", &self.at(parent), json!({ "pathPart": part }), status, message);
    }

    fn paths(&self) -> Vec<String> {
        let list = self.rig.expect(200, "GET", &format!("/restapis/{}/resources", self.api), json!(null));
        list["item"].as_array().unwrap().iter().map(|resource| text(&resource["path"])).collect()
    }
}

#[test]
fn life_cycle() {
    let tree = Tree::new();
    let pets = tree.rig.expect(201, "POST", &tree.at(&tree.root), json!({ "pathPart": "pets" }));
    let id = text(&pets["id"]);
    assert_eq!(pets, json!({ "id": id, "parentId": tree.root, "pathPart": "pets", "path": "/pets" }));
    let sub = tree.add(&id, "subpets");
    tree.add(&sub, "{id}");
    assert_eq!(tree.paths(), ["/", "/pets", "/pets/subpets", "/pets/subpets/{id}"]);
    let renamed = tree.rig.expect(200, "PATCH", &tree.at(&id), replace("/pathPart", "dogs"));
    assert_eq!(renamed, json!({ "id": id, "parentId": tree.root, "pathPart": "dogs", "path": "/dogs" }));
    assert_eq!(tree.paths(), ["/", "/dogs", "/dogs/subpets", "/dogs/subpets/{id}"]);
    let moved = tree.rig.expect(200, "PATCH", &tree.at(&sub), replace("/parentId", &tree.root));
    assert_eq!((&moved["path"], &moved["parentId"]), (&json!("/subpets"), &json!(tree.root)));
    assert_eq!(tree.paths(), ["/", "/dogs", "/subpets", "/subpets/{id}"]);
    assert_eq!(tree.rig.expect(202, "DELETE", &tree.at(&sub), json!(null)), Value::Null);
    assert_eq!(tree.paths(), ["/", "/dogs"]);
    tree.rig.refused("DELETE", &tree.at(&sub), json!(null), 404, "Invalid Resource identifier specified");
}

#[test]
fn places_are_checked() {
    let tree = Tree::new();
    let proxy = tree.add(&tree.root, "{proxy+}");
    let parent = tree.add(&tree.root, "parent");
    tree.add(&parent, "{child+}");
    tree.add(&parent, "v1.0,a-b_c:d");
    let sibling =
        "A sibling ({proxy+}) of this resource already has a variable path part -- only one is allowed";
    let greedy = "Cannot create a child of a resource with a greedy path variable: {proxy+}";
    let alphabet = "Resource's path part only allow a-zA-Z0-9._-: and curly braces…";
    tree.refuse(&tree.root, "{dynamic}", 400, sibling);
    tree.refuse(&proxy, "static", 400, greedy);
    tree.refuse(&proxy, "{x}", 400, greedy);
    tree.refuse(
        &tree.root,
        "parent",
        409,
        "Another resource with the same parent already has this name: parent",
    );
    for part in ["", "a/b", "a b", "{x", "x}", "{}", "{+}", "{a b}", "pre{x}", "é", "a+"] {
        tree.refuse(&tree.root, part, 400, alphabet);
    }
    tree.refuse("nope", "a", 404, "Invalid Resource identifier specified");
    tree.rig.refused(
        "POST",
        "/restapis/nope/resources/x",
        json!({ "pathPart": "a" }),
        404,
        &format!("Invalid API identifier specified {ACCOUNT}:nope"),
    );
    tree.rig.refused("POST", &tree.at(&tree.root), json!({}), 400, "1 validation error detected: Value null at 'createResourceInput.pathPart' failed to satisfy constraint: Member must not be null");
}

#[test]
fn updates_are_checked() {
    let tree = Tree::new();
    let pets = tree.add(&tree.root, "pets");
    let sub = tree.add(&pets, "sub");
    let deep = tree.add(&sub, "pets");
    let cases = [
        ("nope", replace("/pathPart", "x"), 404, "Invalid Resource identifier specified"),
        (
            &pets,
            replace("/invalid", "x"),
            400,
            "Invalid patch path  '/invalid' specified for op 'replace'. Must be one of: [/parentId, /pathPart]",
        ),
        (
            &pets,
            patch("remove", "/pathPart", json!(null)),
            400,
            "Invalid patch path  '/pathPart' specified for op 'remove'. Please choose supported operations",
        ),
        (
            &pets,
            patch("add", "/pathPart", json!("x")),
            400,
            "Invalid patch path  '/pathPart' specified for op 'add'. Please choose supported operations",
        ),
        (&pets, replace("/parentId", "nope"), 404, "Invalid Resource identifier specified"),
        (
            &deep,
            replace("/parentId", &tree.root),
            409,
            "Another resource with the same parent already has this name: pets",
        ),
        (&pets, replace("/parentId", &sub), 400, "Resources cannot be cyclical."),
        (&pets, replace("/parentId", &pets), 400, "Resources cannot be cyclical."),
        (
            &pets,
            replace("/pathPart", "{p+}"),
            400,
            "Cannot create a child of a resource with a greedy path variable: {p+}",
        ),
        (&tree.root, replace("/pathPart", "x"), 400, "Root resource cannot update its pathPart."),
        (&tree.root, replace("/parentId", &pets), 400, "Root resource cannot update its parentId."),
    ];
    for (id, body, status, message) in cases {
        tree.rig.refused("PATCH", &tree.at(id), body, status, message);
    }
    tree.rig.refused("DELETE", &tree.at(&tree.root), json!(null), 400, "Root resource cannot be deleted.");
    assert_eq!(tree.paths(), ["/", "/pets", "/pets/sub", "/pets/sub/pets"]);
    assert_eq!(tree.rig.expect(200, "PATCH", &tree.at(&pets), json!({}))["path"], "/pets");
}

#[test]
fn methods_are_named_or_embedded() {
    let tree = Tree::new();
    let id = tree.rig.mock(&tree.api, &tree.root, "pets");
    assert_eq!(
        tree.rig.expect(200, "GET", &tree.at(&id), json!(null))["resourceMethods"],
        json!({ "GET": {} })
    );
    let embedded = tree.rig.expect(200, "GET", &format!("{}?embed=methods", tree.at(&id)), json!(null));
    assert_eq!(embedded["resourceMethods"]["GET"]["methodIntegration"]["type"], "MOCK");
    for i in 0..30 {
        tree.add(&tree.root, &format!("r{i:02}"));
    }
    let list = format!("/restapis/{}/resources", tree.api);
    let page = tree.rig.expect(200, "GET", &format!("{list}?limit=10"), json!(null));
    assert_eq!(page["item"].as_array().unwrap().len(), 10);
    let next = tree.rig.expect(
        200,
        "GET",
        &format!("{list}?limit=500&position={}", text(&page["position"])),
        json!(null),
    );
    assert_eq!(next["item"].as_array().unwrap().len(), 22);
    tree.rig.refused(
        "GET",
        "/restapis/nope/resources",
        json!(null),
        404,
        &format!("Invalid API identifier specified {ACCOUNT}:nope"),
    );
}
