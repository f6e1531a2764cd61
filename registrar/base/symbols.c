/* SPDX-License-Identifier: MIT */
#include "base/symbols.h"

#include <dlfcn.h>
#include <string.h>

bool
dm_symbols_load(const char *library, const struct dm_symbol *symbols, size_t count, void *out,
    struct dm_err *err)
{
	void *loaded = dlopen(library, RTLD_LAZY | RTLD_LOCAL), *p = loaded;

	for (size_t i = 0; i < count && p != NULL; i++) {
		p = dlsym(loaded, symbols[i].name);
		/* dlsym(3) gives an object pointer; POSIX says that it may be a function's */
		memcpy((char *)out + symbols[i].offset, &p, sizeof(p));
	}
	if (p == NULL)
		return dm_fail(err, DM_FAILED, "loading %s: %s", library, dlerror());
	return true;
}
