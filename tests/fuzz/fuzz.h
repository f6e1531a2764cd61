/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzers share. Each is one libFuzzer entry point that also checks a property; built
 * with replay.c instead of libFuzzer, it runs its corpus once (make check).
 */
#ifndef DEVMESH_FUZZ_H
#define DEVMESH_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The property: libFuzzer reports the abort with the input that broke it. */
#define MUST(condition) \
	do { \
		if (!(condition)) \
			abort(); \
	} while (0)

#endif
