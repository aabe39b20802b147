//! What the recordings leave open: Velocity's accidents as Velocity 1.7 itself shows them, and the seam's own promises. Owns no behaviour.

use super::*;

fn text(source: &str) -> Result<String, String> {
    let template = Template::parse(source).map_err(|_| "parse".to_owned())?;
    template
        .render(&Input::default(), &Budget::default())
        .map(|rendered| rendered.text)
        .map_err(|error| error.to_string())
}

#[test]
fn velocity_accidents() {
    let before = "#set($x='X')#set($n=7)#set($f=false)#set($l=['a','b',3])#set($m={'k':'v'})";
    for (source, expect) in [
        ("$.ajax({a: 1}) $.x.y", Ok("$.ajax({a: 1}) $.x.y")),
        ("A$m.k##c", Ok("Av##c")),
        ("A$x##c", Ok("AX")),
        ("$x #set($y=1)text $y", Ok("Xtext 1")),
        ("$x #set($y=1)[$y]", Err("parse")),
        ("$m.k#set($y=1)text", Ok("vtext")),
        ("a#stop('m')b", Ok("a")),
        ("a#{stop}b", Ok("a")),
        ("\\#stop \\#if \\#foo", Ok("#stop #if \\#foo")),
        ("#[[a]b $x]]#c", Ok("a]b $xc")),
        ("#literal()#if(true)$x#end#end", Ok("#if(true)$x#end")),
        ("#set($y=\"a\"\"b\")$y", Ok("a\"b")),
        ("#set($y=\"a\\\"b\")$y", Err("parse")),
        ("#set($y=$n-5)$y", Ok("")),
        ("#set($y=$n - 5)$y", Ok("2")),
        ("#macro(t $a)#set($a='new')$a#end#set($v='old')#t($v)$v", Ok("newold")),
        ("#macro(t $a)$a#t2($a)#end#macro(t2 $a)<$a>#end#t('q')", Ok("q<q>")),
        ("#macro(t)1#end#macro(t)2#end#t()#t", Ok("11")),
        ("#macro(foo $q)[$q$!bodyContent]#end#@foo($n)body#end", Ok("[7body]")),
        ("#unknown($x) #unknown #@unknown($x)b#end", Ok("#unknown($x) #unknown #@unknown($x)b#end")),
        ("#foreach($i in $l)#foreach($j in $l)#break($foreach.parent)#end$i#end.", Ok(".")),
        ("#foreach($i in $l)#foreach($j in $l)#break#end$i#end.", Ok("ab3.")),
        (
            "#foreach($i in $l)$foreach.count$foreach.first$foreach.last #end$!foreach",
            Ok("1truefalse 2falsefalse 3falsetrue "),
        ),
        ("#if($n + 1)a#{else}b#end", Ok("b")),
        ("#set($r=[5..3])$r $l[-1] $l.iterator().next()", Ok("[5, 4, 3] 3 a")),
        ("$x.replaceAll('X', '[\\$0]') $x.split('').size()", Ok("[$0] 1")),
        ("$l.get(9)", Err("index 9 is out of bounds for length 3")),
        ("$x.substring(2)", Err("index 2 is out of bounds for length 2")),
        ("#parse('a')", Err("#parse cannot load anything")),
        ("$", Err("parse")),
        ("#", Err("parse")),
        ("#end", Err("parse")),
        ("#if(true)a", Err("parse")),
    ] {
        let got = text(&format!("{before}{source}"));
        assert_eq!(got.as_deref().map_err(String::as_str), expect, "{source}");
    }
}

#[test]
fn a_parse_error_names_its_place() {
    let error = Template::parse("line one\nline #if($x two").unwrap_err();
    assert_eq!((error.line, error.column), (2, 13));
    assert!(error.to_string().starts_with("line 2, column 13: unexpected"), "{error}");
}

#[test]
fn parameters_come_from_path_then_query_then_header_and_the_last_counts() {
    let template = Template::parse(
        "$input.params('a') $input.params('b') $input.params('c') [$input.params('d')] $input.params().querystring $stageVariables.v",
    );
    let input = Input {
        path: &[("a", "path")],
        querystring: &[("a", "query"), ("b", "first"), ("b", "last")],
        header: &[("b", "header"), ("c", "header")],
        stage_variables: &[("v", "stage")],
        ..Input::default()
    };
    let rendered = template.unwrap().render(&input, &Budget::default()).unwrap();
    assert_eq!(rendered.text, "path last header [] {a=query, b=last} stage");
}

#[test]
fn overrides_travel_from_the_request_to_the_response() {
    let request = Template::parse(
        "#set($context.requestOverride.header.X = 'h')#set($context.requestOverride.path['p'] = 1)\
         #set($d = $context.requestOverride.querystring.put('q', ['a', 'b']))#set($context.responseOverride.status = 444)",
    );
    let context = json!({"requestId": "r", "authorizer": {"claims": {"sub": "s"}}});
    let input = Input { context: Some(&context), ..Input::default() };
    let first = request.unwrap().render(&input, &Budget::default()).unwrap();
    assert_eq!(first.text, "");
    let overrides = first.overrides;
    assert_eq!(Json::Object(overrides.request.header.clone()), json!({"X": "h"}));
    assert_eq!(Json::Object(overrides.request.path.clone()), json!({"p": 1}));
    assert_eq!(Json::Object(overrides.request.querystring.clone()), json!({"q": ["a", "b"]}));
    assert_eq!(overrides.response.status_code(), Some(444));

    let response = Template::parse(
        "$context.requestOverride.header.X $context.authorizer.claims.sub#set($context.responseOverride.header.Y = 'y')",
    );
    let input = Input { overrides: Some(&overrides), ..input };
    let second = response.unwrap().render(&input, &Budget::default()).unwrap();
    assert_eq!(second.text, "h s");
    assert_eq!(second.overrides.response.status_code(), Some(444));
    assert_eq!(Json::Object(second.overrides.response.header), json!({"Y": "y"}));
}

#[test]
fn only_a_status_is_a_status() {
    for (status, code) in [
        (json!(200), Some(200)),
        (json!("404"), Some(404)),
        (json!(99), None),
        (json!(600), None),
        (json!("x"), None),
        (json!(200.5), None),
    ] {
        let overrides = crate::ResponseOverrides { status: Some(status.clone()), ..Default::default() };
        assert_eq!(overrides.status_code(), code, "{status}");
    }
}

#[test]
fn the_body_is_read_only_when_a_template_asks() {
    let render = |source: &str| {
        let input = Input { body: "{broken", ..Input::default() };
        Template::parse(source).unwrap().render(&input, &Budget::default()).map(|rendered| rendered.text)
    };
    assert_eq!(render("$input.body").as_deref(), Ok("{broken"));
    assert!(matches!(render("$input.json('$')"), Err(RenderError::Body(_))));
}

#[test]
fn a_template_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Template>();
}
