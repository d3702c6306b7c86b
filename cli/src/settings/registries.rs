//! What settings files say of registries: `[registry."registry.example"]`.
//!
//! Any file may say it: nothing here decides who is believed, or where secrets go.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use pack::Compression;
use serde::{Deserialize, Deserializer, de};
use store::registry::{ReferrersList, RegistryProfile};

use crate::size::Size;

/// What is known of one registry.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RegistryTable {
    /// How layers are compressed that go there.
    #[serde(default, deserialize_with = "parsed")]
    pub(crate) compression: Option<Compression>,
    /// Who keeps lists of signatures and the like.
    referrers: Option<Referrers>,
    /// In which chunks blobs are sent.
    chunk: Option<Chunk>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Referrers {
    /// The registry has the interface for that.
    Api,
    /// A tag stands for the list.
    Tag,
}

/// The length of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    /// Each blob comes in one request; it is in memory meanwhile.
    Whole,
    Bytes(usize),
}

impl<'de> Deserialize<'de> for Chunk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "whole" {
            return Ok(Self::Whole);
        }
        let size: Size = text.parse().map_err(de::Error::custom)?;
        let bytes = usize::try_from(size.bytes).unwrap_or(usize::MAX);
        if bytes == 0 {
            return Err(de::Error::custom("a chunk has at least one byte"));
        }
        Ok(Self::Bytes(bytes))
    }
}

fn parsed<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

impl RegistryTable {
    /// Returns this, and what is not said here as `other` has it.
    fn or(self, other: Self) -> Self {
        Self {
            compression: self.compression.or(other.compression),
            referrers: self.referrers.or(other.referrers),
            chunk: self.chunk.or(other.chunk),
        }
    }

    /// Returns what a client of the registry has to know.
    pub(crate) fn profile(&self) -> RegistryProfile {
        RegistryProfile {
            referrers: self.referrers.map(|referrers| match referrers {
                Referrers::Api => ReferrersList::Registry,
                Referrers::Tag => ReferrersList::Tag,
            }),
            chunk_bytes: self.chunk.map(|chunk| match chunk {
                Chunk::Whole => usize::MAX,
                Chunk::Bytes(bytes) => bytes,
            }),
        }
    }
}

/// What is known of registries, by host and port.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct RegistryTables(BTreeMap<String, RegistryTable>);

impl RegistryTables {
    /// Adds what another file says, where this one is silent.
    pub(super) fn add(&mut self, other: Self) {
        for (host, table) in other.0 {
            let known = self.0.entry(host).or_default();
            *known = std::mem::take(known).or(table);
        }
    }

    /// Returns what is known of a registry, perhaps nothing.
    pub(crate) fn of(&self, host: &str) -> RegistryTable {
        self.0.get(host).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(text: &str) -> RegistryTables {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn each_word_of_a_nearer_file_goes_before_that_of_another() {
        let mut near = tables("[\"r.example:5000\"]\ncompression = \"zstd\"\nchunk = \"16M\"\n");
        near.add(tables(
            "[\"r.example:5000\"]\ncompression = \"gzip\"\nreferrers = \"tag\"\n[other]\nchunk = \"whole\"\n",
        ));
        let found = near.of("r.example:5000");
        assert_eq!(found.compression, Some(Compression::Zstd));
        let expected = RegistryProfile {
            referrers: Some(ReferrersList::Tag),
            chunk_bytes: Some(16 << 20),
        };
        assert_eq!(found.profile(), expected);
        assert_eq!(near.of("other").profile().chunk_bytes, Some(usize::MAX));
        assert_eq!(near.of("r.example"), RegistryTable::default());
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        for (line, problem) in [
            ("compression = \"lzma\"", "lzma"),
            ("referrers = \"both\"", "both"),
            ("chunk = \"0\"", "at least one byte"),
            ("chunk = \"some\"", "some"),
            ("chunks = \"5M\"", "chunks"),
        ] {
            let error = toml::from_str::<RegistryTables>(&format!("[r]\n{line}\n")).unwrap_err();
            assert!(error.to_string().contains(problem), "{line}: {error}");
        }
    }
}
