/* SPDX-License-Identifier: MIT */
/* devmeshd: the companion daemon. */
int
main(void)
{
	return 0;
}
