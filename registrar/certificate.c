/* SPDX-License-Identifier: MIT */
#include "certificate.h"

#include <string.h>

#include "base/str.h"
#include "doctor_text.h"

static void
take_field(const char *lines, const char *name, char *out, size_t size)
{
	if (!text_field(lines, name, out, size))
		out[0] = '\0';
	memmove(out, out + strspn(out, " "), strlen(out + strspn(out, " ")) + 1);
}

void
certificate_parse(const char *lines, struct certificate *out)
{
	take_field(lines, "X509v3 Subject Alternative Name", out->names, sizeof(out->names));
	take_field(lines, "X509v3 Extended Key Usage", out->usage, sizeof(out->usage));
	take_field(lines, "Issuer", out->issuer, sizeof(out->issuer));
	take_field(lines, "Start date", out->from, sizeof(out->from));
	take_field(lines, "Expire date", out->until, sizeof(out->until));
	out->begin = text_time(out->from);
	out->end = text_time(out->until);
}

enum http_outcome
certificate_ask(struct http *http, const char *host, uint16_t port, const char *ca_file, bool any,
    int64_t timeout_ms, struct http_reply *reply, struct dm_err *err)
{
	/* small wherever it is answered: by the dashboard, by a service, by Caddy */
	DM_AUTO_FREE char *url = dm_asprintf("https://%s:%u/healthz", host, (unsigned)port);
	DM_AUTO_FREE char *to = dm_asprintf("127.0.0.1:%u", (unsigned)port);
	struct http_request request = {.method = "GET",
	    .url = url,
	    .connect_to = to,
	    .any_certificate = any,
	    .want_certificate = true,
	    .ca_file = ca_file,
	    .timeout_ms = timeout_ms};

	return http_perform(http, &request, reply, err);
}
