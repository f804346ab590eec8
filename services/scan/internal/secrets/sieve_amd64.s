//go:build amd64 && !purego

#include "textflag.h"

// Offsets of the tables of a group, and in sifted.
#define GROUP 256
#define DENSE 512
#define WITHHITS 768
#define WITHDENSE 776
#define OCTETS 784
#define NUL 788

// STRIDE is how far ahead text is fetched, for the next pass: processors
// themselves do not look beyond a page.
#define STRIDE 4096

// ARGUMENTS loads those of both functions, and the octets of the block before.
#define ARGUMENTS \
	MOVQ windows+0(FP), AX \
	MOVQ base64+8(FP), BX  \
	MOVQ text+16(FP), SI   \
	MOVQ blocks+24(FP), CX \
	MOVQ out+32(FP), DI    \
	LEAQ DENSE(DI), DX     \
	MOVL OCTETS(DI), R12

// STORE stores what is in a block: hits, and what denser makes of octets and
// of those before, R12. R10 and R11 keep which blocks have neither.
#define STORE(hits, octets) \
	MOVQ hits, (DI)       \
	CMPQ hits, $1         \
	RCRQ $1, R10          \
	SHRL $7, R12          \
	ANDL $0x01010101, R12 \
	LEAL (octets)(octets*1), R9 \
	ANDL $0xFEFEFEFE, R9  \
	ORL  R12, R9          \
	ANDL octets, R9       \
	MOVL octets, R12      \
	MOVL R9, (DX)         \
	CMPL R9, $1           \
	RCRQ $1, R11

// NEXT goes to the next block.
#define NEXT(block) \
	ADDQ $64, SI \
	ADDQ $8, DI  \
	ADDQ $4, DX  \
	DECQ CX      \
	JNZ  block

// FLAGS stores the rest of sifted. Z tells if there is no NUL.
#define FLAGS \
	MOVQ  out+32(FP), DI     \
	SETNE NUL(DI)            \
	MOVL  R12, OCTETS(DI)    \
	MOVQ  blocks+24(FP), CX  \
	NEGQ  CX                 \
	NOTQ  R10                \
	SHRQ  CX, R10            \
	MOVQ  R10, WITHHITS(DI)  \
	NOTQ  R11                \
	SHRQ  CX, R11            \
	MOVQ  R11, WITHDENSE(DI)

// SPLIT32 takes 32 bytes apart: lower halves to Y11, upper ones to Y12.
#define SPLIT32(bytes) \
	VMOVDQU bytes, Y12    \
	VPAND   Y8, Y12, Y11  \
	VPSRLW  $4, Y12, Y12  \
	VPAND   Y8, Y12, Y12

// NARROW32 narrows acc to the buckets whose windows may have the halves at
// the place whose tables are at n(AX).
#define NARROW32(n, acc) \
	VMOVDQU n(AX), Y13     \
	VPSHUFB Y11, Y13, Y13  \
	VPAND   Y13, acc, acc  \
	VMOVDQU n+32(AX), Y13  \
	VPSHUFB Y12, Y13, Y13  \
	VPAND   Y13, acc, acc

// SIFT32 sifts the 32 bytes at n(SI): where no window begins is a bit in
// miss, which groups of eight bytes are of base64's alphabet a bit in run.
#define SIFT32(n, miss, run) \
	VPCMPEQB  Y0, Y0, Y0           \
	VPCMPEQB  Y1, Y1, Y1           \
	VPMINUB   n(SI), Y7, Y7        \
	SPLIT32(n(SI))                 \
	VPSHUFB   Y11, Y9, Y13         \
	VPSHUFB   Y12, Y10, Y14        \
	VPAND     Y13, Y14, Y13        \
	VPCMPEQB  Y15, Y13, Y13        \
	VPCMPEQQ  Y15, Y13, Y13        \
	VMOVMSKPD Y13, run             \
	NARROW32(0, Y0)                \
	NARROW32(GROUP+0, Y1)          \
	SPLIT32(n+1(SI))               \
	NARROW32(64, Y0)               \
	NARROW32(GROUP+64, Y1)         \
	SPLIT32(n+2(SI))               \
	NARROW32(128, Y0)              \
	NARROW32(GROUP+128, Y1)        \
	SPLIT32(n+3(SI))               \
	NARROW32(192, Y0)              \
	NARROW32(GROUP+192, Y1)        \
	VPOR      Y0, Y1, Y0           \
	VPCMPEQB  Y15, Y0, Y0          \
	VPMOVMSKB Y0, miss

// func passAVX2(windows *[groups][windowSize]halves, base64 *halves, text *byte, blocks int, out *sifted)
TEXT ·passAVX2(SB), NOSPLIT, $0-40
	ARGUMENTS

	VMOVDQU      0(BX), Y9
	VMOVDQU      32(BX), Y10
	MOVQ         $0x0F0F0F0F0F0F0F0F, R8
	MOVQ         R8, X8
	VPBROADCASTQ X8, Y8
	VPXOR        Y15, Y15, Y15
	VPCMPEQB     Y7, Y7, Y7 // the least bytes so far

	TESTQ CX, CX
	JLE   done

block:
	PREFETCHT0 STRIDE(SI)
	SIFT32(0, R8, BX)
	SIFT32(32, R9, R13)
	SHLQ $32, R9
	ORQ  R9, R8
	NOTQ R8
	SHLL $4, R13
	ORL  R13, BX
	STORE(R8, BX)
	NEXT(block)

done:
	VPCMPEQB  Y15, Y7, Y7
	VPMOVMSKB Y7, R8
	TESTL     R8, R8
	FLAGS
	VZEROUPPER
	RET

// LOOKUP2 takes the bytes in a and b, which are the same, to the buckets that
// may have them at a place, of the first group and of the second.
#define LOOKUP2(low0, high0, low1, high1, a, b) \
	VPERMI2B high0, low0, a \
	VPERMI2B high1, low1, b

// func passAVX512(windows *[groups][windowSize][128]byte, base64 *tables, text *byte, blocks int, out *sifted)
TEXT ·passAVX512(SB), NOSPLIT, $0-40
	ARGUMENTS

	VMOVDQU64 0(AX), Z0
	VMOVDQU64 64(AX), Z1
	VMOVDQU64 128(AX), Z2
	VMOVDQU64 192(AX), Z3
	VMOVDQU64 256(AX), Z4
	VMOVDQU64 320(AX), Z5
	VMOVDQU64 384(AX), Z6
	VMOVDQU64 448(AX), Z7
	VMOVDQU64 512(AX), Z8
	VMOVDQU64 576(AX), Z9
	VMOVDQU64 640(AX), Z10
	VMOVDQU64 704(AX), Z11
	VMOVDQU64 768(AX), Z12
	VMOVDQU64 832(AX), Z13
	VMOVDQU64 896(AX), Z14
	VMOVDQU64 960(AX), Z15

	VMOVDQU64    0(BX), Z16
	VMOVDQU64    64(BX), Z17
	VPBROADCASTQ 128(BX), Z18
	VPBROADCASTQ 136(BX), Z19
	VPBROADCASTQ 144(BX), Z20
	VPBROADCASTQ 152(BX), Z21
	MOVQ         $0x8080808080808080, R8
	VPBROADCASTQ R8, Z22
	VPTERNLOGQ   $0xFF, Z23, Z23, Z23 // the least bytes so far: all ones

	TESTQ CX, CX
	JLE   done512

block512:
	PREFETCHT0 STRIDE(SI)
	VMOVDQU64  (SI), Z24
	VPMINUB    Z24, Z23, Z23
	VMOVDQA64  Z24, Z25
	VMOVDQA64  Z24, Z26
	VMOVDQA64  Z24, Z27
	VPERMI2B   Z17, Z16, Z25
	VPTERNLOGQ $0xF8, Z22, Z24, Z25 // or the bytes' own top bits
	VPTESTNMQ  Z18, Z25, K1 // octets that have none of the bits refused
	VPTESTNMQ  Z19, Z25, K2
	VPTESTNMQ  Z20, Z25, K3
	VPTESTNMQ  Z21, Z25, K4
	KUNPCKBW   K1, K2, K1
	KUNPCKBW   K3, K4, K3
	KUNPCKWD   K1, K3, K1
	KMOVD      K1, BX

	LOOKUP2(Z0, Z1, Z8, Z9, Z26, Z27)
	VMOVDQU64  1(SI), Z28
	VMOVDQA64  Z28, Z29
	LOOKUP2(Z2, Z3, Z10, Z11, Z28, Z29)
	VMOVDQU64  2(SI), Z30
	VMOVDQA64  Z30, Z31
	LOOKUP2(Z4, Z5, Z12, Z13, Z30, Z31)
	VPTERNLOGQ $0x80, Z30, Z28, Z26 // and
	VPTERNLOGQ $0x80, Z31, Z29, Z27
	VMOVDQU64  3(SI), Z28
	VMOVDQA64  Z28, Z29
	LOOKUP2(Z6, Z7, Z14, Z15, Z28, Z29)
	VPANDQ     Z28, Z26, Z26
	VPTERNLOGQ $0xF8, Z29, Z27, Z26 // or what both have
	VPTESTMB   Z26, Z26, K1
	KMOVQ      K1, R8
	STORE(R8, BX)
	NEXT(block512)

done512:
	VPTESTNMB Z23, Z23, K1
	KORTESTQ  K1, K1
	FLAGS
	VZEROUPPER
	RET
