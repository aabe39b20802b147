//! Comma-separated values, as RFC 4180 has them, with two liberties that API Gateway's format takes: a field may be quoted by either
//! kind of quote, and lines may be blank. Owns the splitting; must never know a column.

/// One line of fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Line it begins on, from 1.
    pub line: usize,
    /// Its fields, quotes removed.
    pub fields: Vec<String>,
}

/// Splits a file into records; blank lines are none.
///
/// # Errors
/// What is wrong, with the line.
pub(super) fn read(text: &str) -> Result<Vec<Record>, String> {
    let mut records = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let began = line;
        let mut fields = Vec::new();
        loop {
            let (field, after) = match rest.chars().next() {
                Some(quote @ ('"' | '\'')) => quoted(&rest[1..], quote, &mut line)
                    .ok_or_else(|| format!("a quote on line {began} is not closed"))?,
                _ => {
                    let end = rest.find([',', '\n', '\r']).unwrap_or(rest.len());
                    (rest[..end].to_owned(), &rest[end..])
                }
            };
            fields.push(field);
            rest = match after.strip_prefix(',') {
                Some(next) => next,
                None => match end_of_line(after) {
                    Some(next) => {
                        rest = next;
                        break;
                    }
                    None => return Err(format!("text follows a closing quote on line {line}")),
                },
            };
        }
        line += 1;
        if fields.iter().any(|field| !field.trim().is_empty()) {
            records.push(Record { line: began, fields });
        }
    }
    Ok(records)
}

/// A quoted field without its quotes, and what follows it; a doubled quote stands for one.
fn quoted<'a>(text: &'a str, quote: char, line: &mut usize) -> Option<(String, &'a str)> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let (before, after) = rest.split_once(quote)?;
        *line += before.matches('\n').count();
        field.push_str(before);
        match after.strip_prefix(quote) {
            None => return Some((field, after)),
            Some(next) => {
                field.push(quote);
                rest = next;
            }
        }
    }
}

/// What follows the end of a line, if there is one here.
fn end_of_line(text: &str) -> Option<&str> {
    if text.is_empty() {
        return Some(text);
    }
    text.strip_prefix("\r\n").or_else(|| text.strip_prefix(['\n', '\r']))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with the lines and fields it is split into.
    type Case = (&'static str, &'static [(usize, &'static [&'static str])]);

    #[test]
    fn files_are_split() {
        let cases: [Case; 11] = [
            ("", &[]),
            ("\n\r\n  \n", &[]),
            ("a,b", &[(1, &["a", "b"])]),
            ("a,b\n", &[(1, &["a", "b"])]),
            ("a,\r\n,b\r\n", &[(1, &["a", ""]), (2, &["", "b"])]),
            ("a\rb", &[(1, &["a"]), (2, &["b"])]),
            ("a,\"x,y\"\n", &[(1, &["a", "x,y"])]),
            ("a,'x,y'\n", &[(1, &["a", "x,y"])]),
            ("\"say \"\"hi\"\"\",'it''s'", &[(1, &["say \"hi\"", "it's"])]),
            ("\"two\nlines\",b\n\nc,d", &[(1, &["two\nlines", "b"]), (4, &["c", "d"])]),
            ("it's,é \"x\"", &[(1, &["it's", "é \"x\""])]),
        ];
        for (text, expect) in cases {
            let found = read(text).unwrap();
            let found: Vec<(usize, Vec<&str>)> =
                found.iter().map(|r| (r.line, r.fields.iter().map(String::as_str).collect())).collect();
            let expect: Vec<(usize, Vec<&str>)> =
                expect.iter().map(|(line, fields)| (*line, fields.to_vec())).collect();
            assert_eq!(found, expect, "{text:?}");
        }
    }

    #[test]
    fn broken_files_are_refused_with_their_line() {
        let cases = [
            ("a\n\"b", "a quote on line 2 is not closed"),
            ("a,'b\nc", "a quote on line 1 is not closed"),
            ("\"a\"b", "text follows a closing quote on line 1"),
            ("x\n\"a\nb\" ,c", "text follows a closing quote on line 3"),
        ];
        for (text, expect) in cases {
            assert_eq!(read(text).unwrap_err(), expect, "{text:?}");
        }
    }
}
