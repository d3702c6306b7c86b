//! What a bundle says to people.

use std::fmt::Write as _;

use super::{Bundle, Content, Gap, Manifest};

/// The form of a written offer. GPL-2.0 §3(b), GPL-3.0 §6(b).
const OFFER: &str = "\
Written offer of the complete corresponding source

Whoever has received the image {image}
may have from us, for at least three years from the day they received it, and as long as we offer
spare parts or support for the product it came with, a complete machine-readable copy of the source
that corresponds to it, on a medium customarily used for software interchange, for no more than the
cost of sending it; or from a network server at no charge.

Write to: {address}

This offer is valid for anyone in receipt of this information.
";

/// Who offers sources.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// Where one writes to; a form to be filled in where it is not known.
    pub address: Option<String>,
}

impl Bundle {
    /// Adds the texts for people: how to build the image again, the offer, and the list of the toolchain.
    pub fn explain(&mut self, manifest: &Manifest, gaps: &[Gap], offer: &Offer) {
        let address = offer
            .address
            .as_deref()
            .unwrap_or("[name and address of who offers]");
        let text = OFFER.replace("{image}", &manifest.image.manifest);
        let text = text.replace("{address}", address);
        self.add("WRITTEN-OFFER.txt", Content::Bytes(text.into_bytes()));
        self.add(
            "REBUILD.md",
            Content::Bytes(rebuild(manifest, gaps).into_bytes()),
        );
        let script = format!(
            "#!/bin/sh\n# Builds {} again from what is here, with the network off, and compares its digest.\nexec pith sources --verify \"$(dirname \"$0\")\" --rebuild\n",
            manifest.image.target
        );
        self.add("REBUILD.sh", Content::Script(script.into_bytes()));
        let mut list = String::new();
        for file in &manifest.toolchain {
            // Writing to a String cannot fail.
            let _ = writeln!(
                list,
                "{}  {}  {}",
                file.digest,
                file.name,
                file.urls.join(" ")
            );
        }
        self.add("toolchain/REFERENCE", Content::Bytes(list.into_bytes()));
    }
}

fn rebuild(manifest: &Manifest, gaps: &[Gap]) -> String {
    let image = &manifest.image;
    let mut text = format!(
        "# Building `{}` again\n\nThis is the source of the image `{}` for {}.\n\n`./REBUILD.sh` builds it in an empty store, with the network off, from what is in `recipes` and `project` and the files in\n`sources`, packs it and compares the digest. It needs {} {} and Linux; nothing is installed.\n\n",
        image.target, image.manifest, image.platform, manifest.tool.name, manifest.tool.version
    );
    text.push_str(if manifest.toolchain.is_empty() {
        "No tools are needed: packages of Debian are unpacked and put together as the lock in `project` pins them. Nothing is built\nfrom their source packages, which are in `sources` as well.\n"
    } else if manifest.has_toolchain {
        "The toolchain is in `toolchain`, so that nothing else is needed.\n"
    } else {
        "The toolchain is not in this bundle: `toolchain/REFERENCE` names its files by digest, and they are taken from the\nstore of the machine. The licenses do not ask for tools that are used unchanged.\n"
    });
    if !gaps.is_empty() {
        text.push_str("\n## What is missing\n\n");
        for gap in gaps {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "* {}: {}", gap.component, gap.reason);
        }
    }
    text.push_str("\n## Components\n\n");
    for one in &manifest.components {
        let version = one.version.as_deref().unwrap_or_default();
        let license = one.license.as_deref().unwrap_or("no license declared");
        let _ = match one.recipe.as_str() {
            "" => writeln!(
                text,
                "* {} {version}: {license}, a package of Debian",
                one.name
            ),
            recipe => writeln!(
                text,
                "* {} {version}: {license}, made by {recipe}",
                one.name
            ),
        };
    }
    text
}
