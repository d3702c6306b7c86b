//! `Cargo.toml`: The Cargo Book, "The Manifest Format". Pure.

use store::facts::Stated;
use toml::Table;

use super::people::{each_once, parse_person, web_page};

pub(super) fn parse(text: &str) -> Option<Stated> {
    let manifest: Table = text.parse().ok()?;
    let package = manifest.get("package")?.as_table()?;
    let page = |field: &str| web_page(package.get(field)?.as_str()?);
    let authors = package.get("authors").and_then(|list| list.as_array());
    let authors = authors.into_iter().flatten();
    let authors = authors.filter_map(|author| parse_person(author.as_str()?));
    Some(Stated {
        makers: each_once(authors),
        homepage: page("homepage").or_else(|| page("repository")),
        ..Stated::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_and_pages_are_the_packages() {
        let stated = parse(
            "[package]\nname = \"a\"\nauthors = [\"Jane <jane@a.example>\", \"The A Developers\"]\n\
             homepage = \"no page\"\nrepository = \"https://git.example/a\"\n[dependencies]\nb = \"1\"\n",
        )
        .unwrap();
        assert_eq!(stated.makers.len(), 2);
        assert_eq!(stated.homepage.as_deref(), Some("https://git.example/a"));
        assert_eq!(parse("[workspace]\n"), None);
    }
}
