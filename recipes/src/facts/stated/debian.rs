//! `control` of a package of Debian: Debian Policy, section 5.6.23, "Homepage". Pure.
//!
//! Its maintainer is who packages it, and not who made what is in it.

use store::facts::Stated;

use super::people::web_page;

pub(super) fn parse(text: &str) -> Option<Stated> {
    let homepage = text.lines().find_map(|line| line.strip_prefix("Homepage:"));
    Some(Stated {
        path: "control".to_owned(),
        homepage: Some(web_page(homepage?)?),
        ..Stated::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_says_where_its_upstream_is() {
        let control = "Package: golang-src\nMaintainer: Debian <a@debian.example>\nHomepage: https://go.example/\nDescription: a\n";
        let stated = parse(control).unwrap();
        assert_eq!(stated.homepage.as_deref(), Some("https://go.example/"));
        assert_eq!(stated.makers, []);
        assert_eq!(parse("Package: a\n"), None);
    }
}
