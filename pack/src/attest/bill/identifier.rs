//! By what name the world outside may know a component.

use super::{BillComponent, ComponentKind};
use crate::vulns::Purl;

impl BillComponent {
    /// Returns its package URL; of what nobody has named and what is delivered all the same, one that says which it is: [`Purl::own`] with the digest of what
    /// is delivered. Such are apps, lists of others, and closures as a whole.
    ///
    /// "2026 Minimum Elements for a Software Bill of Materials" v2.1, "Component Identifiers", and prEN 40000-1-3, PRE-7-RQ-07, demand a name of every component.
    pub(in super::super) fn any_purl(&self) -> Option<String> {
        let is_delivered = matches!(
            self.kind,
            ComponentKind::Image | ComponentKind::Closure | ComponentKind::Object
        );
        if self.purl.is_some() || self.cpe.is_some() || !is_delivered {
            return self.purl.clone();
        }
        let mut checksums = self.checksums.iter();
        let sha256 = checksums.find(|one| one.algorithm == "SHA-256")?;
        let purl = Purl::own(&self.name, self.version.as_deref(), &sha256.value);
        Some(purl.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Checksum, component::empty},
        *,
    };

    #[test]
    fn what_is_delivered_has_a_name() {
        let object = BillComponent {
            kind: ComponentKind::Object,
            name: "my app".to_owned(),
            version: Some("1".to_owned()),
            checksums: vec![Checksum::sha512("55"), Checksum::sha256("22")],
            ..empty()
        };
        let own = "pkg:generic/pith/my%20app@1?checksum=sha256:22";
        assert_eq!(object.any_purl().as_deref(), Some(own));
        let with = |change: fn(&mut BillComponent)| {
            let mut component = object.clone();
            change(&mut component);
            component.any_purl()
        };
        let named = with(|one| one.purl = Some("pkg:cargo/a@1".to_owned()));
        assert_eq!(named.as_deref(), Some("pkg:cargo/a@1"));
        assert_eq!(with(|one| one.cpe = Some("cpe:2.3:a:b:c".to_owned())), None);
        assert_eq!(with(|one| one.kind = ComponentKind::Linked), None);
        assert_eq!(with(|one| one.checksums.clear()), None);
    }
}
