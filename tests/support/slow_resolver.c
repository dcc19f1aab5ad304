/*
 * slow_resolver: preloaded, it makes the resolver of the C library hang for names that end in ".slow": getaddrinfo sleeps for
 * SLOW_RESOLVER_S seconds (600 unless set) and then finds nothing. Every other name is resolved as ever.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int resolve(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list);

static unsigned seconds(void)
{
	const char *text = getenv("SLOW_RESOLVER_S");

	return text ? (unsigned)strtoul(text, NULL, 10) : 600;
}

static int is_slow(const char *node)
{
	size_t length = node ? strlen(node) : 0;

	return length > 5 && strcmp(node + length - 5, ".slow") == 0;
}

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
						       struct addrinfo **list)
{
	resolve *real;
	void *found = dlsym(RTLD_NEXT, "getaddrinfo");

	if (is_slow(node)) {
		sleep(seconds());
		return EAI_NONAME;
	}
	/* ISO C has no conversion between the two kinds of pointers. */
	memcpy(&real, &found, sizeof(real));
	return real(node, service, hints, list);
}
