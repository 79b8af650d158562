//! Vdevs as they are kept in a directory; see `engine/stored.rs` for what to do about a new field.

use super::{Hand, Health, Kind, Layout, Removal, Vdev};
use crate::embedded::store::codec::{Malformed, Reader, Writer};
use crate::nvlist::NvString;

type Result<T> = std::result::Result<T, Malformed>;

/// Deeper trees than a root with mirrors of replacing devices there are not.
const DEPTH_MAX: usize = 8;

impl Layout {
    pub(in crate::embedded) fn put(&self, out: &mut Writer) {
        let Self { guid, tops, spares, caches, removal, root_properties, usable, ashift } = self;
        out.number(*guid);
        for vdevs in [tops, spares, caches] {
            out.list(vdevs.iter(), put_vdev);
        }
        out.option(*removal, |out, Removal { vdev, time, bytes }| {
            [vdev, time, bytes].into_iter().for_each(|number| out.number(number));
        });
        out.nvlist(root_properties);
        out.signed(*usable);
        out.number(*ashift);
    }

    /// The same, read.
    pub(in crate::embedded) fn take(input: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            guid: input.number()?,
            tops: input.list(|input| take_vdev(input, DEPTH_MAX))?,
            spares: input.list(|input| take_vdev(input, DEPTH_MAX))?,
            caches: input.list(|input| take_vdev(input, DEPTH_MAX))?,
            removal: input.option(|input| {
                Ok(Removal { vdev: input.number()?, time: input.number()?, bytes: input.number()? })
            })?,
            root_properties: input.nvlist()?,
            usable: input.signed()?,
            ashift: input.small()?,
        })
    }
}

fn put_vdev(out: &mut Writer, vdev: &Vdev) {
    let Vdev { kind, guid, path, children, other, hand, health, room, properties } = vdev;
    out.text(kind.name());
    out.number(*guid);
    out.option(path.as_ref(), |out, path| out.bytes(path.as_bytes()));
    out.list(children.iter(), put_vdev);
    out.nvlist(other);
    out.option(*hand, |out, hand| {
        let (kind, aux, temporary) = match hand {
            Hand::Offline { temporary } => (0_u8, 0, temporary),
            Hand::Faulted { aux, temporary } => (1, aux, temporary),
            Hand::Degraded { aux } => (2, aux, false),
            Hand::Removed => (3, 0, false),
        };
        out.number(kind);
        out.number(aux);
        out.flag(temporary);
    });
    let Health { state, aux } = health;
    out.number(*state);
    out.number(*aux);
    out.number(*room);
    out.nvlist(properties);
}

fn take_vdev(input: &mut Reader<'_>, depth: usize) -> Result<Vdev> {
    let below = depth.checked_sub(1).ok_or(Malformed)?;
    Ok(Vdev {
        kind: Kind::find(input.text()?).ok_or(Malformed)?,
        guid: input.number()?,
        path: input.option(Reader::bytes)?.map(NvString::from),
        children: input.list(|input| take_vdev(input, below))?,
        other: input.nvlist()?,
        hand: input.option(|input| {
            let (kind, aux, temporary) = (input.number()?, input.number()?, input.flag()?);
            match kind {
                0 => Ok(Hand::Offline { temporary }),
                1 => Ok(Hand::Faulted { aux, temporary }),
                2 => Ok(Hand::Degraded { aux }),
                3 => Ok(Hand::Removed),
                _ => Err(Malformed),
            }
        })?,
        health: Health { state: input.number()?, aux: input.number()? },
        room: input.number()?,
        properties: input.nvlist()?,
    })
}
