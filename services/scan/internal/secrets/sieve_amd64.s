//go:build amd64 && !purego

#include "textflag.h"

// Offsets of the tables of a group, and of sifted.runs.
#define GROUP 256
#define RUNS 512

// ARGUMENTS loads those of both functions, and in DX where runs go.
#define ARGUMENTS \
	MOVQ windows+0(FP), AX \
	MOVQ base64+8(FP), BX  \
	MOVQ text+16(FP), SI   \
	MOVQ blocks+24(FP), CX \
	MOVQ out+32(FP), DI    \
	LEAQ RUNS(DI), DX

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

	TESTQ CX, CX
	JLE   done

block:
	SIFT32(0, R8, R10)
	SIFT32(32, R9, R11)
	SHLQ $32, R9
	ORQ  R9, R8
	NOTQ R8
	MOVQ R8, (DI)
	SHLL $4, R11
	ORL  R11, R10
	MOVB R10, (DX)
	ADDQ $64, SI
	ADDQ $8, DI
	INCQ DX
	DECQ CX
	JNZ  block

done:
	VZEROUPPER
	RET

// SPLIT64 takes 64 bytes apart: lower halves to Z24, upper ones to Z25.
#define SPLIT64(bytes) \
	VMOVDQU64 bytes, Z25     \
	VPANDQ    Z20, Z25, Z24  \
	VPSRLW    $4, Z25, Z25   \
	VPANDQ    Z20, Z25, Z25

// NARROW64 narrows acc (imm 0x80 is the AND of three).
#define NARROW64(low, high, acc) \
	VPSHUFB    Z24, low, Z26   \
	VPSHUFB    Z25, high, Z27  \
	VPTERNLOGQ $0x80, Z26, Z27, acc

// func passAVX512(windows *[groups][windowSize]halves, base64 *halves, text *byte, blocks int, out *sifted)
TEXT ·passAVX512(SB), NOSPLIT, $0-40
	ARGUMENTS

	VBROADCASTI32X4 0(AX), Z0
	VBROADCASTI32X4 32(AX), Z1
	VBROADCASTI32X4 64(AX), Z2
	VBROADCASTI32X4 96(AX), Z3
	VBROADCASTI32X4 128(AX), Z4
	VBROADCASTI32X4 160(AX), Z5
	VBROADCASTI32X4 192(AX), Z6
	VBROADCASTI32X4 224(AX), Z7
	VBROADCASTI32X4 GROUP+0(AX), Z8
	VBROADCASTI32X4 GROUP+32(AX), Z9
	VBROADCASTI32X4 GROUP+64(AX), Z10
	VBROADCASTI32X4 GROUP+96(AX), Z11
	VBROADCASTI32X4 GROUP+128(AX), Z12
	VBROADCASTI32X4 GROUP+160(AX), Z13
	VBROADCASTI32X4 GROUP+192(AX), Z14
	VBROADCASTI32X4 GROUP+224(AX), Z15
	VBROADCASTI32X4 0(BX), Z16
	VBROADCASTI32X4 32(BX), Z17

	MOVQ         $0x0F0F0F0F0F0F0F0F, R8
	VPBROADCASTQ R8, Z20
	VPTERNLOGQ   $0xFF, Z21, Z21, Z21 // ones

	TESTQ CX, CX
	JLE   done512

block512:
	SPLIT64(0(SI))
	VPSHUFB  Z24, Z16, Z26
	VPSHUFB  Z25, Z17, Z27
	VPTESTMB Z26, Z27, K1
	VPMOVM2B K1, Z26
	VPCMPEQQ Z21, Z26, K2
	KMOVW    K2, R9
	MOVB     R9, (DX)

	VPSHUFB Z24, Z0, Z22
	VPSHUFB Z25, Z1, Z27
	VPANDQ  Z27, Z22, Z22
	VPSHUFB Z24, Z8, Z23
	VPSHUFB Z25, Z9, Z27
	VPANDQ  Z27, Z23, Z23
	SPLIT64(1(SI))
	NARROW64(Z2, Z3, Z22)
	NARROW64(Z10, Z11, Z23)
	SPLIT64(2(SI))
	NARROW64(Z4, Z5, Z22)
	NARROW64(Z12, Z13, Z23)
	SPLIT64(3(SI))
	NARROW64(Z6, Z7, Z22)
	NARROW64(Z14, Z15, Z23)
	VPORQ    Z22, Z23, Z22
	VPTESTMB Z22, Z22, K1
	KMOVQ    K1, (DI)

	ADDQ $64, SI
	ADDQ $8, DI
	INCQ DX
	DECQ CX
	JNZ  block512

done512:
	VZEROUPPER
	RET
