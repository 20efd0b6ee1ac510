using System.Text.RegularExpressions;
using Mono.Cecil;

namespace NeoCommons.EfCore.Architecture.Tests;

/// <summary>Rules for the compiled types of all packages.</summary>
public sealed partial class TypeTests
{
    private static readonly string[] PublicNamespaces =
    [
        .. Repository.Packages,
        "Microsoft.Extensions.DependencyInjection",
        "Microsoft.Extensions.Hosting",
        "Microsoft.EntityFrameworkCore",
        "Microsoft.AspNetCore.Builder",
    ];

    /// <summary>The exceptions of the contract; each is thrown for one kind of trouble and carries its data.</summary>
    public static TheoryData<string> Exceptions =>
        [
            "ConnectionNotFoundException",
            "ConnectionUnavailableException",
            "TenantNotFoundException",
            "TenantUnavailableException",
            "TenantNotResolvedException",
            "InvalidSchemaNameException",
            "TenantIsolationException",
            "TenantConflictException",
            "SecretDecryptionException",
        ];

    public static TheoryData<string> Packages => Repository.EachPackage;

    [Theory]
    [MemberData(nameof(Packages))]
    public void Internal_classes_are_sealed(string package) =>
        AssertNone(
            package,
            type => type is { IsClass: true, IsValueType: false, IsSealed: false, IsAbstract: false } && !IsPublic(type)
        );

    [Theory]
    [MemberData(nameof(Packages))]
    public void Public_types_stand_in_few_namespaces(string package) =>
        AssertNone(
            package,
            type =>
                type.IsPublic
                && (
                    !PublicNamespaces.Contains(type.Namespace)
                    || (Repository.Packages.Contains(type.Namespace) && type.Namespace != package)
                )
        );

    [Theory]
    [MemberData(nameof(Packages))]
    public void No_type_is_a_manager_or_a_helper(string package) =>
        AssertNone(package, type => VagueName().IsMatch(type.Name));

    [Theory]
    [MemberData(nameof(Packages))]
    public void Nothing_uses_the_internals_of_Entity_Framework(string package) =>
        // The exception is a type argument of the provider's public options builder: using that mentions it.
        AssertNoUse(
            package,
            used => InternalNamespace().IsMatch(used.Namespace) && used.Name != "NpgsqlOptionsExtension"
        );

    [Theory]
    [MemberData(nameof(Packages))]
    public void Nothing_is_left_unimplemented(string package) =>
        AssertNoUse(package, used => used.FullName == typeof(NotImplementedException).FullName);

    [Theory]
    [MemberData(nameof(Packages))]
    public void No_state_flows_with_the_execution_context(string package) =>
        AssertNoUse(package, used => used.FullName == typeof(AsyncLocal<>).FullName);

    [Theory]
    [MemberData(nameof(Exceptions))]
    public void An_exception_of_the_contract_is_sealed_and_ours(string name)
    {
        using var module = Repository.Read(Repository.Core);
        var type = module.GetType(Repository.Core, name);

        Assert.NotNull(type);
        Assert.True(type.IsPublic);
        Assert.True(type.IsSealed);
        Assert.Equal(Repository.Core + ".NeoCommonsException", type.BaseType.FullName);
    }

    [Theory]
    [InlineData(Repository.Core)]
    [InlineData(Repository.Admin)]
    [InlineData(Repository.AspNetCore)]
    public void Every_public_exception_derives_from_ours(string package) =>
        AssertNone(
            package,
            type =>
                type.IsPublic
                && type.Name.EndsWith("Exception", StringComparison.Ordinal)
                && type.Name != "NeoCommonsException"
                && !(type.IsSealed && type.BaseType.Name == "NeoCommonsException")
        );

    private static void AssertNone(string package, Func<TypeDefinition, bool> violates)
    {
        using var module = Repository.Read(package);
        Assert.Empty(module.GetTypes().Where(IsWritten).Where(violates).Select(type => type.FullName));
    }

    private static void AssertNoUse(string package, Func<TypeReference, bool> violates)
    {
        using var module = Repository.Read(package);
        Assert.Empty(
            module
                .Types.Where(IsWritten)
                .SelectMany(type =>
                    TypeUses
                        .Of(type)
                        .Select(TypeUses.Outermost)
                        .Where(violates)
                        .Select(used => $"{type.FullName} uses {used.FullName}")
                )
                .Distinct()
        );
    }

    private static bool IsPublic(TypeDefinition type) =>
        type.IsNested ? type.IsNestedPublic && IsPublic(type.DeclaringType) : type.IsPublic;

    // Neither made by the compiler or a generator, nor a migration.
    private static bool IsWritten(TypeDefinition type) =>
        !type.FullName.Contains('<', StringComparison.Ordinal)
        && !type.FullName.StartsWith("System.", StringComparison.Ordinal)
        && !type.FullName.StartsWith("Microsoft.CodeAnalysis.", StringComparison.Ordinal)
        && type.BaseType?.Name is not ("Migration" or "ModelSnapshot")
        && (type.DeclaringType is null || IsWritten(type.DeclaringType));

    [GeneratedRegex("(Manager|Helper|Helpers|Util|Utils|Utilities)(`|$)")]
    private static partial Regex VagueName();

    [GeneratedRegex(@"^(Microsoft\.EntityFrameworkCore|Npgsql)\b.*\.Internal(\.|$)")]
    private static partial Regex InternalNamespace();
}
