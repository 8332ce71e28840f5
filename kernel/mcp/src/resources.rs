//! The resources: what can be read, and under which names.

use core::fmt;

use crate::json::Quoted;
use crate::revision::Revision;

/// What a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// What the model is.
    ModelCard,
    /// Every tensor of the model.
    ModelTensors,
    /// Where everything lies in memory.
    MemoryMap,
    /// One region of the memory map.
    MemoryRegion(MemoryRegion),
    /// What was logged until the prompt came.
    BootLog,
    /// The last lines of the log.
    Log,
    /// The faults of the engine.
    Faults,
    /// Counters and speeds.
    Metrics,
    /// The device tree as the firmware gave it, a blob.
    DeviceTree,
}

/// A region of the engine's address space, or the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryRegion {
    /// Code and data of the kernel.
    Kernel,
    /// Code and data of the engine.
    Engine,
    /// The engine's stacks.
    Stacks,
    /// What kernel and engine share.
    Rings,
    /// The model file.
    Model,
    /// The engine's tensors.
    Arena,
}

/// What clients are told about a resource.
struct ResourceInfo {
    resource: Resource,
    uri: &'static str,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    mime_type: &'static str,
}

const TEXT: &str = "text/plain";

const RESOURCES: [ResourceInfo; 8] = [
    ResourceInfo {
        resource: Resource::ModelCard,
        uri: "pi://model/card",
        name: "model_card",
        title: "Model card",
        description: "What the loaded model is, and the plan of its memory",
        mime_type: TEXT,
    },
    ResourceInfo {
        resource: Resource::ModelTensors,
        uri: "pi://model/tensors",
        name: "model_tensors",
        title: "Tensor table",
        description: "Name, shape, type and place of every tensor",
        mime_type: TEXT,
    },
    ResourceInfo {
        resource: Resource::MemoryMap,
        uri: "pi://memory/map",
        name: "memory_map",
        title: "Memory map",
        description: "Where kernel, engine, model and arena lie",
        mime_type: TEXT,
    },
    ResourceInfo {
        resource: Resource::BootLog,
        uri: "pi://boot/log",
        name: "boot_log",
        title: "Boot log",
        description: "What was logged while the board started",
        mime_type: TEXT,
    },
    ResourceInfo {
        resource: Resource::Log,
        uri: "pi://log",
        name: "log",
        title: "Log",
        description: "The last lines that kernel and engine logged",
        mime_type: TEXT,
    },
    ResourceInfo {
        resource: Resource::Faults,
        uri: "pi://faults",
        name: "faults",
        title: "Fault reports",
        description: "What the engine did that it must not, and the restarts",
        mime_type: TEXT,
    },
    ResourceInfo {
        resource: Resource::Metrics,
        uri: "pi://metrics",
        name: "metrics",
        title: "Metrics",
        description: "Counters and speeds, one per line",
        mime_type: TEXT,
    },
    ResourceInfo {
        resource: Resource::DeviceTree,
        uri: "pi://dtb",
        name: "device_tree",
        title: "Device tree",
        description: "The flattened device tree that the firmware passed",
        mime_type: "application/octet-stream",
    },
];

/// The template's part before its variable.
const REGION_PREFIX: &str = "pi://memory/";

/// The template of the memory regions.
pub(crate) const REGION_TEMPLATE: &str = "pi://memory/{region}";

/// The regions, in the order of the map.
pub(crate) const REGIONS: [MemoryRegion; 6] = [
    MemoryRegion::Kernel,
    MemoryRegion::Engine,
    MemoryRegion::Stacks,
    MemoryRegion::Rings,
    MemoryRegion::Model,
    MemoryRegion::Arena,
];

impl MemoryRegion {
    /// Its name in the URI.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Engine => "engine",
            Self::Stacks => "stacks",
            Self::Rings => "rings",
            Self::Model => "model",
            Self::Arena => "arena",
        }
    }
}

impl Resource {
    /// The resource of that URI.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        if let Some(info) = RESOURCES.iter().find(|info| info.uri == uri) {
            return Some(info.resource);
        }
        let name = uri.strip_prefix(REGION_PREFIX)?;
        REGIONS.into_iter().find(|region| region.name() == name).map(Self::MemoryRegion)
    }

    pub(crate) fn mime_type(self) -> &'static str {
        RESOURCES.iter().find(|info| info.resource == self).map_or(TEXT, |info| info.mime_type)
    }
}

impl fmt::Display for Resource {
    /// The URI.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, RESOURCES.iter().find(|info| info.resource == *self)) {
            (_, Some(info)) => formatter.write_str(info.uri),
            (Self::MemoryRegion(region), None) => write!(formatter, "{REGION_PREFIX}{}", region.name()),
            (_, None) => Ok(()),
        }
    }
}

/// Displays the member `resources` of the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResourceList(pub Revision);

impl fmt::Display for ResourceList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"resources\":[")?;
        for (index, info) in RESOURCES.iter().enumerate() {
            formatter.write_str(if index == 0 { "{" } else { ",{" })?;
            write!(formatter, "\"uri\":{},\"name\":{}", Quoted(info.uri), Quoted(info.name))?;
            if self.0.has_titles() {
                write!(formatter, ",\"title\":{}", Quoted(info.title))?;
            }
            let (description, mime_type) = (Quoted(info.description), Quoted(info.mime_type));
            write!(formatter, ",\"description\":{description},\"mimeType\":{mime_type}}}")?;
        }
        formatter.write_str("]")
    }
}

/// Displays the member `resourceTemplates` of the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TemplateList(pub Revision);

impl fmt::Display for TemplateList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "\"resourceTemplates\":[{{\"uriTemplate\":{},\"name\":\"memory_region\"",
            Quoted(REGION_TEMPLATE)
        )?;
        if self.0.has_titles() {
            formatter.write_str(",\"title\":\"Memory region\"")?;
        }
        write!(
            formatter,
            ",\"description\":\"One region of the memory map: kernel, engine, stacks, rings, model or arena\",\
             \"mimeType\":{}}}]",
            Quoted(TEXT)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_uri_leads_back_to_its_resource() {
        let regions = REGIONS.into_iter().map(Resource::MemoryRegion);
        for resource in RESOURCES.iter().map(|info| info.resource).chain(regions) {
            assert_eq!(Resource::from_uri(&resource.to_string()), Some(resource));
        }
        for uri in ["", "pi://", "pi://memory/", "pi://memory/x", "pi://MODEL/card", "pi://model/card/", "file:///etc"]
        {
            assert_eq!(Resource::from_uri(uri), None, "{uri}");
        }
    }
}
