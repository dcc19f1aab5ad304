#include "intake/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdint.h>
#include <sys/vfs.h>

/* NFS and CIFS refuse a lease with EAGAIN where the server has not delegated the file. */
static bool leases_tell(int fd)
{
	static const uint32_t shares[] = { NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC };
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		if ((uint32_t)fs.f_type == shares[i])
			return false;
	}
	return true;
}

bool writer_is_there(int fd)
{
	/* Whoever opens the file for writing while we hold the lease waits for us, and we are sent a signal: SIGIO, which would end us,
	 * unless we choose another. SIGURG is ignored by default. */
	if (!leases_tell(fd) || fcntl(fd, F_SETSIG, SIGURG) < 0)
		return false;
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}
