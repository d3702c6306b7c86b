//! Who made a component: what recipes and packages say of that, and who it is where there is nobody else. BSI TR-03183-2 v2.1.0, section 5.2.2, "Component
//! creator".

use store::facts::{Maker, Stated};

use super::{BillComponent, ComponentKind, Party};

/// How the package URLs of Go modules begin.
const GO_MODULE: &str = "pkg:golang/";

impl BillComponent {
    /// Returns who made it where neither a home page nor a package says so: Debian has made its packages, and who passes on an image, a list of others, or what
    /// nothing fetched went into, has made that.
    pub(in super::super) fn maker(&self) -> Option<Party> {
        let purl = self.purl.as_deref().unwrap_or_default();
        if purl.starts_with("pkg:deb/debian/") {
            return Some(Party {
                name: "Debian".to_owned(),
                email: None,
                url: Some("https://www.debian.org/".to_owned()),
            });
        }
        let is_own = match self.kind {
            ComponentKind::Image | ComponentKind::Closure => true,
            ComponentKind::Object => {
                let is_local = self.sources.iter().all(|source| source.urls.is_empty());
                self.is_set || (self.is_complete && purl.is_empty() && is_local)
            }
            ComponentKind::Contained | ComponentKind::Linked | ComponentKind::Base => false,
        };
        self.supplier.clone().filter(|_| is_own)
    }

    /// Takes over what the package of the component says of itself.
    pub(super) fn add_stated(&mut self, stated: &Stated) {
        self.makers = stated.makers.iter().map(party).collect();
        let is_new = self.homepage.is_none() && stated.homepage.is_some();
        if is_new {
            self.homepage.clone_from(&stated.homepage);
        }
        if is_new || !self.makers.is_empty() {
            self.makers_evidence = Some(stated.path.clone());
        }
    }

    /// Adds what a Go module's name says: the place where whoever makes it publishes it. The Go Modules Reference, "Module paths".
    pub(super) fn add_module_page(&mut self) {
        let purl = self.purl.as_deref().unwrap_or_default();
        let (host, _) = self.name.split_once('/').unwrap_or((&self.name, ""));
        if !purl.starts_with(GO_MODULE) || !host.contains('.') {
            return;
        }
        let page = format!("https://{}", self.name);
        self.homepage.get_or_insert(page);
    }
}

fn party(maker: &Maker) -> Party {
    Party {
        name: maker.name.clone(),
        email: maker.email.clone(),
        url: maker.url.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::component::empty;
    use super::*;

    #[test]
    fn a_module_is_made_where_its_name_says() {
        for (name, purl, page) in [
            (
                "a.example/b/v2",
                "pkg:golang/a.example/b@v2.0.0",
                Some("https://a.example/b/v2"),
            ),
            ("go-std", "pkg:golang/std@1.24.4", None),
            ("a.example/b", "pkg:npm/b@1", None),
        ] {
            let mut component = BillComponent {
                name: name.to_owned(),
                purl: Some(purl.to_owned()),
                ..empty()
            };
            component.add_module_page();
            assert_eq!(component.homepage.as_deref(), page, "{name}");
        }
    }

    #[test]
    fn who_passes_on_a_list_of_others_made_the_list() {
        let supplier = Party {
            name: "Example".to_owned(),
            email: Some("a@b.example".to_owned()),
            url: None,
        };
        let object = |is_set| BillComponent {
            kind: ComponentKind::Object,
            supplier: Some(supplier.clone()),
            is_set,
            ..empty()
        };
        assert_eq!(object(true).maker(), Some(supplier.clone()));
        assert_eq!(
            object(false).maker(),
            None,
            "nobody observed how it was made"
        );
    }

    #[test]
    fn what_a_recipe_says_goes_before_what_a_package_says() {
        let stated = Stated {
            path: "package/package.json".to_owned(),
            homepage: Some("https://b.example".to_owned()),
            ..Stated::default()
        };
        for (known, homepage, evidence) in [
            (None, "https://b.example", Some("package/package.json")),
            (Some("https://a.example"), "https://a.example", None),
        ] {
            let mut component = BillComponent {
                homepage: known.map(str::to_owned),
                ..empty()
            };
            component.add_stated(&stated);
            assert_eq!(component.homepage.as_deref(), Some(homepage));
            assert_eq!(component.makers_evidence.as_deref(), evidence);
        }
    }
}
