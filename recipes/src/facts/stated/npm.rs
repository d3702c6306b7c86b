//! `package.json`: npm's documentation, "package.json", "people fields". Pure.

use serde_json::{Map, Value};
use store::facts::{Maker, Stated};

use super::people::{each_once, parse_person, person, web_page};

/// What says that somebody works on it, in npm's order.
const PEOPLE: [&str; 3] = ["author", "contributors", "maintainers"];
/// Where a repository is that is named by its owner alone, or by a word before that.
const HOSTS: [(&str, &str); 4] = [
    ("github:", "https://github.com/"),
    ("gitlab:", "https://gitlab.com/"),
    ("bitbucket:", "https://bitbucket.org/"),
    ("", "https://github.com/"),
];

pub(super) fn parse(text: &str) -> Option<Stated> {
    let package: Map<String, Value> = serde_json::from_str(text).ok()?;
    let people = PEOPLE.iter().filter_map(|field| package.get(*field));
    let people = people.flat_map(|value| match value {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    });
    let homepage = package.get("homepage").and_then(Value::as_str);
    let repository = package.get("repository");
    Some(Stated {
        makers: each_once(people.filter_map(maker)),
        homepage: homepage
            .and_then(web_page)
            .or_else(|| repository_page(text_of(repository?, "url")?)),
        ..Stated::default()
    })
}

fn maker(value: &Value) -> Option<Maker> {
    let Value::Object(fields) = value else {
        return parse_person(value.as_str()?);
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    person(
        text("name").unwrap_or_default(),
        text("email").or_else(|| text("mail")),
        text("url").or_else(|| text("web")),
    )
}

/// A text, or the field of an object that stands in its place.
fn text_of<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.as_str().or_else(|| value.get(field)?.as_str())
}

/// Returns where a repository is looked at. Of the hosts that npm knows, every protocol leads to the same page.
fn repository_page(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some((scheme, rest)) = text.split_once("://") {
        if let Some(page) = web_page(text.strip_prefix("git+").unwrap_or(text)) {
            return Some(page);
        }
        let is_git = ["git", "ssh", "git+ssh"].contains(&scheme);
        let page = web_page(&format!(
            "https://{}",
            rest.strip_prefix("git@").unwrap_or(rest)
        ))?;
        let is_known = HOSTS.iter().any(|(_, host)| page.starts_with(host));
        return (is_git && is_known).then_some(page);
    }
    let (host, rest) = HOSTS
        .iter()
        .find_map(|(word, host)| Some((host, text.strip_prefix(word)?)))?;
    let is_name = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let (owner, name) = rest.split_once('/')?;
    (is_name(owner) && is_name(name)).then(|| format!("{host}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_pages_are_texts_or_objects() {
        let stated = parse(
            r#"{"author": "Jane <jane@a.example>",
                "contributors": [{"name": "Joe", "url": "https://joe.example"}, "Jane <jane@a.example>", 7],
                "maintainers": [{"email": "m@a.example"}],
                "repository": {"type": "git", "url": "git+https://git.example/a/b.git"}}"#,
        )
        .unwrap();
        let names: Vec<&str> = stated
            .makers
            .iter()
            .map(|maker| maker.name.as_str())
            .collect();
        assert_eq!(names, ["Jane", "Joe", "m@a.example"]);
        assert_eq!(
            stated.homepage.as_deref(),
            Some("https://git.example/a/b.git")
        );
    }

    #[test]
    fn repositories_are_named_in_short() {
        for (text, expected) in [
            ("jane/a", Some("https://github.com/jane/a")),
            ("gitlab:jane/a.js", Some("https://gitlab.com/jane/a.js")),
            ("gist:0123", None),
            ("git://github.com/jane/a", Some("https://github.com/jane/a")),
            (
                "git+ssh://git@github.com/jane/a.git",
                Some("https://github.com/jane/a.git"),
            ),
            ("git://git.example/jane/a", None),
            ("jane/a b", None),
        ] {
            assert_eq!(repository_page(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_object_says_nothing() {
        assert_eq!(parse("[]"), None);
        assert_eq!(parse("{"), None);
    }
}
