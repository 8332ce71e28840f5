//! What the kernel wants to know from a device tree: RAM, what of it is taken, and a file that the firmware placed.
//!
//! The tree comes from outside: whatever it says, nothing here panics, and lists that are too long are cut and counted.

use barellama_kernel::platform::{EXTENTS_MAX, PhysicalRange};
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};
use heapless::Vec;

/// Length of the header, which tells the length of the whole.
pub const HEADER_BYTES: usize = 40;
const MAGIC: u32 = 0xD00D_FEED;
/// A tree of the firmware has some 80 KiB.
const BYTES_MAX: u32 = 1 << 20;

/// Compatible of a PCI host whose configuration space is in memory, and that needs no more than that.
const PCI_HOST: &[u8] = b"pci-host-ecam-generic";

/// What the tree says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeFacts {
    /// RAM.
    pub ram: Vec<PhysicalRange, EXTENTS_MAX>,
    /// Parts of it that are taken: /memreserve/ and /reserved-memory.
    pub reserved: Vec<PhysicalRange, EXTENTS_MAX>,
    /// Cores: the children `cpu` of /cpus.
    pub cores: usize,
    /// /chosen linux,initrd-start and -end.
    pub placed_file: Option<PhysicalRange>,
    /// The configuration space of a generic PCI host.
    pub pci_configuration: Option<PhysicalRange>,
    /// Ranges that found no room in the lists.
    pub dropped: usize,
}

/// Length of the tree that begins with `header`, if it is one of a plausible length.
#[must_use]
pub fn length(header: &[u8]) -> Option<usize> {
    let word = |at: usize| Some(u32::from_be_bytes(*header.get(at..)?.first_chunk::<4>()?));
    let (magic, bytes) = (word(0)?, word(4)?);
    (magic == MAGIC && bytes as usize >= HEADER_BYTES && bytes <= BYTES_MAX).then_some(bytes as usize)
}

/// Reads a whole tree. `None` if it is damaged.
#[must_use]
pub fn read(tree: &[u8]) -> Option<TreeFacts> {
    let tree = Fdt::new(tree).ok()?;
    let mut facts = TreeFacts::default();
    for reservation in tree.memory_reservations() {
        facts.reserve(reservation.address(), reservation.size());
    }
    let root = tree.root();
    for child in root.children() {
        match child.name_without_address() {
            "memory" => each_range(&child, |start, bytes| facts.add_ram(start, bytes)),
            "reserved-memory" => {
                for region in child.children() {
                    each_range(&region, |start, bytes| facts.reserve(start, bytes));
                }
            }
            "cpus" => {
                facts.cores = child.children().filter(|core| core.name_without_address() == "cpu").count();
            }
            "pcie" if is_compatible(&child, PCI_HOST) => {
                each_range(&child, |start, bytes| facts.pci_configuration = Some(PhysicalRange { start, bytes }));
            }
            "chosen" => facts.placed_file = placed_file(&child),
            _ => {}
        }
    }
    Some(facts)
}

impl TreeFacts {
    fn add_ram(&mut self, start: u64, bytes: u64) {
        let is_dropped = bytes != 0 && self.ram.push(PhysicalRange { start, bytes }).is_err();
        self.dropped += usize::from(is_dropped);
    }

    fn reserve(&mut self, start: u64, bytes: u64) {
        let is_dropped = bytes != 0 && self.reserved.push(PhysicalRange { start, bytes }).is_err();
        self.dropped += usize::from(is_dropped);
    }
}

/// Visits each (address, size) of a node's `reg`.
fn each_range(node: &FdtNode<'_>, mut visit: impl FnMut(u64, u64)) {
    let Ok(Some(ranges)) = node.reg() else { return };
    for range in ranges {
        if let (Ok(start), Ok(bytes)) = (range.address::<u64>(), range.size::<u64>()) {
            visit(start, bytes);
        }
    }
}

fn is_compatible(node: &FdtNode<'_>, name: &[u8]) -> bool {
    node.property("compatible").is_some_and(|names| names.value().split(|&byte| byte == 0).any(|one| one == name))
}

fn placed_file(chosen: &FdtNode<'_>) -> Option<PhysicalRange> {
    let start = number(chosen, "linux,initrd-start")?;
    let end = number(chosen, "linux,initrd-end")?;
    let bytes = end.checked_sub(start)?;
    (bytes != 0).then_some(PhysicalRange { start, bytes })
}

/// A number of one or two cells: firmwares write both.
fn number(node: &FdtNode<'_>, name: &str) -> Option<u64> {
    let property = node.property(name)?;
    let value = property.value();
    match value.len() {
        4 => Some(u64::from(u32::from_be_bytes(*value.first_chunk()?))),
        8 => Some(u64::from_be_bytes(*value.first_chunk()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use dtoolkit::memreserve::MemoryReservation;
    use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

    fn cells(values: &[u32]) -> std::vec::Vec<u8> {
        values.iter().flat_map(|value| value.to_be_bytes()).collect()
    }

    fn property(name: &str, values: &[u32]) -> DeviceTreeProperty {
        DeviceTreeProperty::new(name, cells(values).as_slice()).unwrap()
    }

    fn node(name: &str, properties: &[(&str, &[u32])], children: std::vec::Vec<DeviceTreeNode>) -> DeviceTreeNode {
        let mut builder = DeviceTreeNode::builder(name).unwrap();
        for (name, values) in properties {
            builder = builder.property(property(name, values));
        }
        children.into_iter().fold(builder, |builder, child| builder.child(child)).build()
    }

    /// Two cells per address and one per size at the root, as the firmware's trees have them.
    fn tree() -> std::vec::Vec<u8> {
        let mut tree = DeviceTree::new();
        tree.memory_reservations.push(MemoryReservation::new(0, 0x1000));
        tree.root.add_property(property("#address-cells", &[2]));
        tree.root.add_property(property("#size-cells", &[1]));
        tree.root.add_child(node("memory@0", &[("reg", &[0, 0, 0x3B40_0000, 0, 0x4000_0000, 0xBC00_0000])], [].into()));
        let cores = (0..4).map(|core| node(&std::format!("cpu@{core}"), &[("reg", &[core])], [].into()));
        let cells: [(&str, &[u32]); 2] = [("#address-cells", &[1]), ("#size-cells", &[0])];
        let others = [node("cpu-map", &[], [].into()), node("l2-cache0", &[], [].into())];
        tree.root.add_child(node("cpus", &cells, cores.chain(others).collect()));
        let region = node("linux,cma@10000000", &[("reg", &[0, 0x1000_0000, 0x0400_0000])], [].into());
        let properties: [(&str, &[u32]); 3] = [("#address-cells", &[2]), ("#size-cells", &[1]), ("ranges", &[])];
        tree.root.add_child(node("reserved-memory", &properties, [region].into()));
        let chosen: [(&str, &[u32]); 2] =
            [("linux,initrd-start", &[0, 0x0800_0000]), ("linux,initrd-end", &[0x0900_0000])];
        tree.root.add_child(node("chosen", &chosen, [].into()));
        tree.to_dtb()
    }

    #[test]
    fn a_tree_tells_ram_reservations_and_the_placed_file() {
        let facts = read(&tree()).unwrap();
        let range = |start, bytes| PhysicalRange { start, bytes };
        assert_eq!(facts.ram.as_slice(), [range(0, 0x3B40_0000), range(0x4000_0000, 0xBC00_0000)]);
        assert_eq!(facts.reserved.as_slice(), [range(0, 0x1000), range(0x1000_0000, 0x0400_0000)]);
        assert_eq!(facts.placed_file, Some(range(0x0800_0000, 0x0100_0000)));
        assert_eq!((facts.cores, facts.dropped), (4, 0));
    }

    #[test]
    fn the_header_tells_the_length() {
        let tree = tree();
        assert_eq!(length(&tree[..HEADER_BYTES]), Some(tree.len()));
        assert_eq!(length(&tree[..7]), None);
        assert_eq!(length(&[0; HEADER_BYTES]), None, "not a tree");
        let huge = [cells(&[MAGIC, BYTES_MAX + 1]), [0; 32].into()].concat();
        assert_eq!(length(&huge), None);
    }

    #[test]
    fn damaged_trees_are_refused_or_read_without_panic() {
        let good = tree();
        for at in 0..good.len() {
            for value in [0x00, 0x01, 0x7F, 0xFF] {
                let mut damaged = good.clone();
                damaged[at] = value;
                let _ = read(&damaged);
            }
            assert_eq!(read(&good[..at]), None, "cut at {at}");
        }
    }
}
