namespace NeoCommons.EfCore.Architecture.Tests;

/// <summary>Rules for the source files of all packages.</summary>
public sealed class SourceTests
{
    private const int LongestFile = 300;

    [Fact]
    public void A_file_holds_one_public_type_at_most_and_is_named_like_it() =>
        Assert.Empty(
            Repository
                .Sources()
                .Where(file =>
                {
                    var types = Repository
                        .DeclaredIn(file)
                        .Where(type => type.IsPublic)
                        .Select(type => type.Name)
                        .ToList();
                    return types.Count > 1
                        || (types.Count == 1 && types[0] != Path.GetFileNameWithoutExtension(file).Split('.')[0]);
                })
                .Select(Repository.Relative)
        );

    [Fact]
    public void Every_source_declares_a_type_that_the_rules_see() =>
        Assert.Empty(
            Repository.Sources().Where(file => !Repository.DeclaredIn(file).Any()).Select(Repository.Relative)
        );

    [Fact]
    public void No_file_is_too_long_to_read() =>
        Assert.DoesNotContain(Repository.Sources(), file => File.ReadLines(file).Count() > LongestFile);

    [Fact]
    public void A_folder_is_a_concept()
    {
        string[] kinds = ["Interfaces", "Models", "Helpers", "Utils", "Extensions", "Enums", "Constants"];

        Assert.DoesNotContain(
            Repository.Sources().Select(Repository.Relative),
            file => file.Split('/').Any(part => kinds.Contains(part))
        );
    }

    /// <summary>
    /// Times are differences of a clock that nobody sets (T26). Who asks for the hour needs it for something that outlives the process or
    /// that a person reads: a new one here has to say what it does when the clock is set.
    /// </summary>
    [Fact]
    public void Few_ask_what_time_it_is()
    {
        string[] allowed =
        [
            "src/NeoCommons.EfCore.Admin/Commands/Tenants/TenantsArchiveCommand.cs",
            "src/NeoCommons.EfCore.Admin/Commands/Tenants/TenantsDeleteCommand.cs",
            "src/NeoCommons.EfCore.Admin/Provisioning/TenantRemoval.cs",
            "src/NeoCommons.EfCore.Admin/Provisioning/TenantStates.cs",
            "src/NeoCommons.EfCore.Admin/Registry/AdminConnectionRegistry.cs",
            "src/NeoCommons.EfCore.Admin/Registry/SharedCache.cs",
            "src/NeoCommons.EfCore.Admin/Secrets/FernetSecrets.cs",
            "src/NeoCommons.EfCore/Connections/Metrics/Acquisition.cs",
            "src/NeoCommons.EfCore/Contexts/SchemaVersionGate.cs",
            "src/NeoCommons.EfCore/Tenants/TenantId.cs",
        ];

        Assert.Equal(
            allowed,
            Repository
                .Sources()
                .Where(file => File.ReadAllText(file).Contains(".GetUtcNow()", StringComparison.Ordinal))
                .Select(Repository.Relative)
                .Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public void There_are_sources_to_look_at() => Assert.InRange(Repository.Sources().Count(), 50, int.MaxValue);
}
