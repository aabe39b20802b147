//! Templates that try to exhaust or crash the interpreter. Owns no behaviour.

use super::*;
use std::fmt::Write as _;

fn outcome(source: &str, body: &str) -> Result<String, RenderError> {
    let template = Template::parse(source).unwrap();
    template.render(&Input { body, ..Input::default() }, &Budget::default()).map(|rendered| rendered.text)
}

#[test]
fn endless_work_spends_the_budget() {
    let loops = "#foreach($a in [1..1000])".repeat(4) + "x" + &"#end".repeat(4);
    let doubling = "#set($s='0123456789')#foreach($i in [1..1000])#set($s=\"$s$s\")#end";
    let growing = "#set($l=[1])#foreach($i in [1..1000])#set($d=$l.addAll($l))#end";
    let rewriting = "#set($s='aaaaaaaaaaaaaaaa')#foreach($i in [1..1000])#set($s=$s.replace('a',$s))#end";
    let patterns = "#set($s='aaaaaaaaaaaaaaaa')#foreach($i in [1..1000])#set($s=$s.replaceAll('a',$s))#end";
    let by_name = (0..18).fold(String::new(), |mut out, i| {
        write!(out, "#macro(m{i} $a)#m{}(\"$a$a$a$a\")#end", i + 1).unwrap();
        out
    }) + "#macro(m18 $a)$a#end#m0('0123456789')";
    for (name, source, error) in [
        ("nested loops", loops.as_str(), RenderError::TooManySteps),
        ("doubled text", doubling, RenderError::TooMuchMemory),
        ("doubled list", growing, RenderError::TooMuchMemory),
        ("replace", rewriting, RenderError::TooMuchMemory),
        ("replaceAll", patterns, RenderError::TooMuchMemory),
        ("arguments by name", &by_name, RenderError::TooMuchMemory),
        ("range", "$[1..2]#set($r=[0..2000000000])", RenderError::TooMuchMemory),
        (
            "repeat",
            "#set($x='abcdefghabcdefghabcdefghabcdefgh')$x.repeat(2000000000)",
            RenderError::TooMuchMemory,
        ),
        ("macro recursion", "#macro(m)#m()#end#m()", RenderError::TooDeep),
        (
            "evaluate recursion",
            "#set($d='#')#set($e=\"${d}evaluate(\\$e)\")#evaluate($e)",
            RenderError::TooDeep,
        ),
    ] {
        assert_eq!(outcome(source, ""), Err(error), "{name}");
    }
    let output = "#set($s='0123456789012345678901234567890123456789')#foreach($a in [1..1000])#foreach($b in [1..1000])$s#end#end";
    assert_eq!(outcome(output, ""), Err(RenderError::TooMuchOutput));
}

#[test]
fn loops_end_at_the_bound_without_an_error() {
    assert_eq!(outcome("#foreach($i in [1..5000])#set($last=$i)#end$last", "").as_deref(), Ok("1000"));
}

#[test]
fn cycles_and_deep_values_neither_hang_nor_overflow() {
    assert_eq!(outcome("#set($l=[])#set($d=$l.add($l))$l", ""), Err(RenderError::TooDeep));
    assert_eq!(outcome("#set($m={})#set($m.m=$m)$m.m.m.m.size()", "").as_deref(), Ok("1"));
    let chain = "#set($l=[])#foreach($a in [1..1000])#foreach($b in [1..100])#set($l=[$l])#end#end";
    assert_eq!(outcome(chain, "").as_deref(), Ok(""));
    assert_eq!(outcome(&format!("{chain}$l"), ""), Err(RenderError::TooDeep));
    assert_eq!(outcome(&format!("{chain}#set($o=$l)#if([$l]==[$o])y#end"), ""), Ok("y".to_owned()));
    assert_eq!(outcome("$input.path('$')", &"[".repeat(100_000)), Err(RenderError::TooDeep));
    assert_eq!(
        outcome("#set($r=$input.path('$'))#set($r.r=$r)$input.path('$..x')", "{}"),
        Err(RenderError::Path(crate::jsonpath::PathError::TooManyVisits))
    );
    assert_eq!(outcome("#define($d)a$d#end$d", "").as_deref(), Ok("aa"));
}

#[test]
fn the_deepest_rendering_fits_a_small_stack() {
    for (before, open, core, close, after) in [
        ("#set($x=", "[", "\"#m()\"", "]", ")"),
        ("#set($x=", "(1+", "\"#m()\"", ")", ")"),
        ("#if(", "!(true && ", "\"#m()\" == 1", ")", ")a#end"),
        ("", "#if(true)", "#m()", "#end", ""),
        ("", "$l.add($l", ".add(\"#m()\")", ")", ""),
        ("#foreach($i in [1])", "#evaluate('", "#m()", "')", "#end"),
    ] {
        let nested = |depth| {
            format!(
                "#set($l=[])#macro(m){before}{}{core}{}{after}#end#m()",
                open.repeat(depth),
                close.repeat(depth)
            )
        };
        let source = (1..64).rev().map(nested).find(|source| Template::parse(source).is_ok()).unwrap();
        let shown = source.clone();
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let result = thread.spawn(move || outcome(&source, "")).unwrap().join().unwrap();
        assert_eq!(result, Err(RenderError::TooDeep), "{shown}");
    }
}

#[test]
fn deep_syntax_is_refused() {
    for (open, close) in [
        ("#if(true)", "#end"),
        ("#foreach($i in [1])", "#end"),
        ("#if(", "true)#end"),
        ("#set($x=(", "1))"),
        ("#set($x=[", "])"),
        ("#set($x={'a':", "})"),
        ("$x.a(", ")"),
        ("$x[$y", "]"),
        ("#set($x=!!", "1)"),
        ("#@m()", "#end"),
        ("#if(!(", ")#end"),
    ] {
        let source = format!("{}1{}", open.repeat(20_000), close.repeat(20_000));
        assert!(Template::parse(&source).is_err(), "{open}");
        let inner = open.trim_start_matches("#set($x=").trim_start_matches("#if");
        let source = format!("#set($x={}1{})", inner.repeat(20_000), close.repeat(20_000));
        assert!(Template::parse(&source).is_err(), "{inner}");
    }
    let strings = (0..200).fold("x".to_owned(), |inner, _| {
        format!("$a.b(\"{}\")", inner.replace('"', "\"\"")).chars().take(50_000).collect()
    });
    assert!(Template::parse(&strings).is_err());
    let long_sum = format!("#set($x=0{})$x", "+1".repeat(50_000));
    assert_eq!(outcome(&long_sum, "").as_deref(), Ok("50000"));
}

/// A small generator, so that a failure names the seed that shows it again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

/// What random templates are made of.
const PIECES: &[&str] = &[
    "$",
    "$!",
    "${",
    "}",
    "#",
    "##",
    "#*",
    "*#",
    "#[[",
    "]]#",
    "\\",
    "\\\\",
    "#set(",
    "#if(",
    "#elseif(",
    "#else",
    "#end",
    "#foreach(",
    "#macro(m ",
    "#define($d)",
    "#m(",
    "#@m(",
    "#evaluate(",
    "#break",
    "#stop",
    "#{else}",
    "#{end}",
    "$x",
    "$foo.bar",
    "$!{x.y}",
    "$l",
    "$m",
    ".get(",
    ".put('a',",
    ".substring(",
    ".split(",
    ".replaceAll(",
    ".add(",
    ".size()",
    ".keySet()",
    "$input.path(",
    "$input.json(",
    "$input.params(",
    "$util.parseJson(",
    "$util.urlDecode(",
    "$util.base64Decode(",
    "$context.requestOverride.header.x",
    "'$.a'",
    "'$..b[0]'",
    "'$.l[?(@.a>1)]'",
    "'$'",
    "\"",
    "'",
    "(",
    ")",
    "[",
    "]",
    "{",
    ":",
    ",",
    "..",
    ".",
    " in ",
    "=",
    "==",
    "!",
    "&&",
    "||",
    "+",
    "-",
    "*",
    "/",
    "%",
    "<",
    ">",
    "1",
    "0",
    "-1",
    "2147483647",
    "9223372036854775807",
    "99999999999999999999",
    "1.5",
    "1e400",
    "true",
    "false",
    "null",
    " ",
    "\n",
    "\r\n",
    "é",
    "💥",
    "\u{0}",
    "abc",
    "_",
];

#[test]
fn no_text_panics() {
    let body = r#"{"a":[1,2,{"b":"c"}],"l":[{"a":1},{"a":2}],"s":"x"}"#;
    let budget =
        Budget { steps_max: 20_000, output_bytes_max: 1 << 16, memory_bytes_max: 1 << 18, foreach_max: 50 };
    let mut compiled = 0;
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let mut source = "#set($l=[1,'b',{'c':2}])#set($m={'k':'v'})".to_owned();
        for _ in 0..1 + random.below(14) {
            source.push_str(PIECES[random.below(PIECES.len())]);
        }
        if let Ok(template) = Template::parse(&source) {
            compiled += 1;
            let _ = template.render(&Input { body, ..Input::default() }, &budget);
            let _ = template.render(&Input { body: &source, ..Input::default() }, &budget);
        }
    }
    assert!(compiled > 1000, "only {compiled} templates compiled");
}
