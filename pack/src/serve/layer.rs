//! A layer as the body of an answer: made while it is sent.

use std::{io, num::NonZero, ops::Range, sync::Arc};

use store::serve::Body;
use tokio::task::spawn_blocking;

use super::{
    layer_turns::LayerTurn,
    packed::Packed,
    part::{PartSender, Pieces, Stop, body_of, pieces},
};
use crate::layer::{Encoded, Encoder, LayerError};

/// Which bytes of which layer.
#[derive(Clone, Debug)]
pub(super) struct LayerPart {
    pub(super) image: usize,
    pub(super) layer: usize,
    pub(super) part: Range<u64>,
    pub(super) size_bytes: u64,
}

/// Returns the body that is a part of a layer. `turn` is given back when it ends. Bytes before the part are made and left out.
pub(super) fn layer_body(packed: Arc<Packed>, wanted: LayerPart, turn: LayerTurn) -> Body {
    let (sender, receiver) = pieces();
    spawn_blocking(move || {
        let failure = match make(&packed, &wanted, &sender) {
            Ok(()) | Err(Stop::Enough) => None,
            Err(Stop::Failed(error)) => Some(io::Error::other(error)),
        };
        if let Some(error) = failure {
            // Who is gone needs no reason.
            sender.blocking_send(Err(error)).ok();
        }
        drop(turn);
    });
    body_of(receiver)
}

fn make(packed: &Packed, wanted: &LayerPart, sender: &Pieces) -> Result<(), Stop> {
    let mut part = PartSender::new(wanted.part.clone(), wanted.size_bytes, sender);
    let mut receive = |encoded: Encoded<'_>| match encoded {
        Encoded::Begin(_) => Ok(()),
        Encoded::Bytes(bytes) => part.receive(bytes),
        Encoded::End(..) => part.end(),
    };
    encode_layer(packed, wanted.image, wanted.layer, &mut receive)
}

/// Makes a layer, by the indices of the image and the layer.
pub(super) fn encode_layer<E: From<LayerError>>(
    packed: &Packed,
    image: usize,
    layer: usize,
    receive: &mut dyn FnMut(Encoded<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(one) = packed.image(image) else {
        return Ok(());
    };
    let mut known = one.layers.clone();
    // Several clients are answered at once; each layer needs no more than one processor.
    let encoder = Encoder {
        threads: Some(NonZero::<usize>::MIN),
        ..one.image.encoder(one.image.options.compression)
    };
    one.image
        .encode_with(&encoder, &[layer], &mut known, receive)
}
