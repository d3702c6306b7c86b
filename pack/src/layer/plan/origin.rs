//! Where a store path comes from, as far as the planner cares.

use store::PathInfo;

/// Returns the name of what a path changes together with: the Debian source package as `debian:openssl`, else the software as its recipe calls it, so that
/// the outputs of a recipe have one origin; for a path of which nothing is known, its own name.
pub fn origin_of(info: &PathInfo) -> String {
    let Some(component) = &info.component else {
        return info.path.name().to_string();
    };
    let debian = component.purl.as_deref().and_then(debian_source);
    debian.unwrap_or_else(|| component.name.clone())
}

/// The distribution and the source package in a package URL of type `deb`: the qualifier `upstream`, and where there is none the name (purl-spec, `deb`).
fn debian_source(purl: &str) -> Option<String> {
    let (place, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
    let (distribution, package) = place.strip_prefix("pkg:deb/")?.split_once('/')?;
    let name = package.split('@').next().unwrap_or(package);
    let upstream = qualifiers
        .split('&')
        .find_map(|qualifier| qualifier.strip_prefix("upstream="));
    // A version may follow the name of the source; `@` is written `%40` there.
    let source = upstream.map_or(name, |source| source.split('@').next().unwrap_or(source));
    let source = source.split("%40").next().unwrap_or(source);
    Some(format!("{distribution}:{source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_one_debian_source_have_one_origin() {
        for (purl, origin) in [
            (
                "pkg:deb/debian/libssl3@3.0.1?arch=amd64&distro=bookworm&upstream=openssl",
                Some("debian:openssl"),
            ),
            (
                "pkg:deb/debian/libssl3@3.0.1?upstream=openssl%403.0.1-1",
                Some("debian:openssl"),
            ),
            (
                "pkg:deb/debian/nginx@1.22.1-9?arch=amd64",
                Some("debian:nginx"),
            ),
            ("pkg:deb/debian/nginx", Some("debian:nginx")),
            ("pkg:cargo/serde@1", None),
        ] {
            assert_eq!(debian_source(purl).as_deref(), origin, "{purl}");
        }
    }
}
