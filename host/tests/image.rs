//! Packing `kernel8.img` out of ELF files made here.

use barellama::image::{self, ImageError, PAYLOAD_MAGIC};
use object::build::elf::{Builder, SectionData};
use object::elf;
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object};

const BASE: u64 = 0xFFFF_FF80_0008_0000;

/// An ELF file with two loadable segments (at `base` and `base + 0x1000`), a debug section and symbols.
fn elf_file(base: u64, symbols: &[(&str, u64)]) -> Vec<u8> {
    let mut builder = Builder::new(Endianness::Little, true);
    builder.header.e_type = elf::ET_EXEC;
    builder.header.e_machine = elf::EM_AARCH64;
    builder.header.e_entry = base;
    builder.header.e_phoff = 64;
    for (index, bytes) in [&b"first segment"[..], &b"second"[..]].into_iter().enumerate() {
        let address = base + 0x1000 * index as u64;
        let section = builder.sections.add();
        section.name = b".text"[..].into();
        section.sh_type = elf::SHT_PROGBITS;
        section.sh_flags = elf::SHF_ALLOC;
        section.sh_addralign = 1;
        section.sh_addr = address;
        section.sh_size = bytes.len() as u64;
        section.data = SectionData::Data(bytes.into());
        let id = section.id();
        let offset = 0x1000 * (1 + index as u64);
        builder.sections.get_mut(id).sh_offset = offset;
        let segment = builder.segments.add();
        segment.p_type = elf::PT_LOAD;
        segment.p_offset = offset;
        segment.p_vaddr = address;
        segment.p_paddr = address;
        segment.p_align = 0x1000;
        segment.append_section(builder.sections.get_mut(id));
        segment.p_memsz += 32;
    }
    let debug = builder.sections.add();
    debug.name = b".debug_line"[..].into();
    debug.sh_type = elf::SHT_PROGBITS;
    debug.sh_addralign = 1;
    debug.data = SectionData::Data(b"/home/somebody/secret"[..].into());
    for (name, kind, data) in [
        (&b".shstrtab"[..], elf::SHT_STRTAB, SectionData::SectionString),
        (&b".strtab"[..], elf::SHT_STRTAB, SectionData::String),
        (&b".symtab"[..], elf::SHT_SYMTAB, SectionData::Symbol),
    ] {
        let section = builder.sections.add();
        section.name = name.into();
        section.sh_type = kind;
        section.sh_addralign = 8;
        section.data = data;
    }
    for (name, address) in symbols {
        let symbol = builder.symbols.add();
        symbol.name = name.as_bytes().to_vec().into();
        symbol.st_value = *address;
        symbol.st_shndx = elf::SHN_ABS;
        symbol.set_st_info(elf::STB_GLOBAL, elf::STT_NOTYPE);
    }
    let mut bytes = Vec::new();
    builder.write(&mut bytes).unwrap();
    bytes
}

fn kernel_file(payload: u64) -> Vec<u8> {
    elf_file(BASE, &[("__payload_start", payload), ("__payload_end", payload + 0x4000)])
}

fn engine_file() -> Vec<u8> {
    elf_file(0x40_0000, &[("engine_main", 0x40_0000)])
}

#[test]
fn the_engine_lies_at_the_payload_symbol() {
    let kernel = kernel_file(BASE + 0x3000);
    let engine = engine_file();
    let (image, summary) = image::pack(&kernel, &engine).unwrap();

    assert!(image.starts_with(b"first segment"));
    assert_eq!(&image[0x1000..0x1006], b"second");
    assert!(image[0x1006..0x3000].iter().all(|byte| *byte == 0));
    assert_eq!(&image[0x3000..0x3008], PAYLOAD_MAGIC);
    let length = u64::from_le_bytes(image[0x3008..0x3010].try_into().unwrap());
    assert_eq!(length as usize, image.len() - 0x3010);
    assert_eq!(summary.payload_offset, 0x3000);

    let payload = ElfFile64::<Endianness>::parse(&image[0x3010..]).unwrap();
    assert_eq!(payload.entry(), 0x40_0000);
    let headers = payload.elf_program_headers();
    assert_eq!(headers.len(), 2);
    let second = headers[1].data(Endianness::Little, &image[0x3010..]).unwrap();
    assert_eq!(second, b"second");
    assert_eq!(headers[1].p_memsz(Endianness::Little), 6 + 32);
}

#[test]
fn no_symbol_and_no_debug_information_of_the_engine_is_packed() {
    let kernel = kernel_file(BASE + 0x3000);
    let engine = engine_file();
    let (image, _) = image::pack(&kernel, &engine).unwrap();
    for text in [&b"engine_main"[..], b"somebody"] {
        assert!(!image.windows(text.len()).any(|window| window == text));
    }
}

#[test]
fn a_kernel_without_the_symbol_is_refused() {
    let kernel = elf_file(BASE, &[("__other", BASE + 0x3000)]);
    assert!(matches!(image::pack(&kernel, &kernel), Err(ImageError::NoPayloadSymbol("__payload_start"))));
}

#[test]
fn a_payload_inside_the_kernel_is_refused() {
    let kernel = kernel_file(BASE + 0x1000);
    assert!(matches!(image::pack(&kernel, &kernel), Err(ImageError::PayloadInsideKernel { payload: 0x1000, .. })));
}

#[test]
fn an_engine_that_outgrew_the_window_is_refused() {
    let kernel = elf_file(BASE, &[("__payload_start", BASE + 0x3000), ("__payload_end", BASE + 0x3100)]);
    assert!(matches!(image::pack(&kernel, &engine_file()), Err(ImageError::EngineTooLarge { window: 0x100, .. })));
}

#[test]
fn a_payload_far_away_is_refused() {
    let kernel = kernel_file(BASE + (1 << 37));
    assert!(matches!(image::pack(&kernel, &kernel), Err(ImageError::TooLarge(_))));
}

#[test]
fn what_is_no_elf_file_is_refused() {
    let kernel = kernel_file(BASE + 0x3000);
    assert!(matches!(image::pack(b"no", &kernel), Err(ImageError::NotElf("kernel", _))));
    assert!(matches!(image::pack(&kernel, b"no"), Err(ImageError::NotElf("engine", _))));
}
